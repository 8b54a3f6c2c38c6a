/* metrics.h: what the HTTP port answers: /health, and /metrics in Prometheus' text format. */
#ifndef MILLRACE_SERVER_METRICS_H
#define MILLRACE_SERVER_METRICS_H

#include "protocol/http/http_server.h"
#include "server/server.h"

/* An http_handler; ctx is the struct server. */
bool metrics_answer(void *ctx, const char *path, struct http_reply *reply);

#endif
