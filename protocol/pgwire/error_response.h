/* error_response.h: ErrorResponse and NoticeResponse. */
#ifndef MILLRACE_PGWIRE_ERROR_RESPONSE_H
#define MILLRACE_PGWIRE_ERROR_RESPONSE_H

#include "protocol/pgwire/message.h"

/* severity: "ERROR", "FATAL". position_base: characters of the client's string before the statement. */
void error_response_send(struct wire *wire, const char *severity, const struct error *err,
                         int32_t position_base);
void notice_response_send(struct wire *wire, const char *severity, const char *sqlstate, const char *message,
                          const char *detail, const char *hint);

#endif
