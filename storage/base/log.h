/* log.h: the server's own messages, one line each to stderr. Any thread. Never put a password in one. */
#ifndef MILLRACE_BASE_LOG_H
#define MILLRACE_BASE_LOG_H

#include "storage/base/check.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

void log_set_level(enum log_level least);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
