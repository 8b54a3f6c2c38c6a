/* kafka.h: what sources and sinks share of librdkafka: properties that users set, secrets among them, logging, errors. */
#ifndef MILLRACE_CONNECTOR_KAFKA_H
#define MILLRACE_CONNECTOR_KAFKA_H

#include "protocol/connector/connector.h"

#include <librdkafka/rdkafka.h>

/* A property that users cannot set, and why: "is set by Millrace: ...". A NULL name ends a table. */
struct kafka_reserved {
    const char *name;
    const char *why;
};

/* What the opaque pointer of every rd_kafka_t of ours points at, for as long as that lives: its log lines and errors are
 * cleaned of secrets with it. */
struct kafka_client {
    char *name;     /* of the source or sink, in log lines */
    char **secrets; /* values that nothing may show */
    uint32_t secrets_count;
    void *owner;   /* for callbacks of whoever made it */
    bool is_quiet; /* warnings are in the errors of calls, and would repeat themselves in the log */
    /* Lines of level "debug" come only for this (kafka_notice); nobody asked to see them. */
    bool hides_debug;
    void (*noticed)(void *owner, const char *facility); /* NULL: nobody */
};

void kafka_client_init(struct kafka_client *client, const char *name, void *owner);
void kafka_client_release(struct kafka_client *client);
/* Puts asterisks in place of every secret of the client. */
void kafka_hide(const struct kafka_client *client, char *text);

/* Why the table has it, or NULL. */
const char *kafka_why_reserved(const struct kafka_reserved *reserved, const char *name);
/* Whether a property may be set to the value: 22023 naming it; never shows a secret's value. `reserved` beside those that no
 * client of ours may set (what runs commands or loads code, mostly). Connects to nothing. */
MUST_CHECK
bool kafka_accepts(const struct kafka_reserved *reserved, const char *connector, const char *name,
                   const char *value, struct error *err);
/* Sets the property, which kafka_accepts has accepted or which is ours; remembers values that are secret. */
MUST_CHECK
bool kafka_set(rd_kafka_conf_t *conf, struct kafka_client *client, const char *name, const char *value,
               struct error *err);
/* Sets some, those but named by rows of options (NULL: all of them). */
MUST_CHECK
bool kafka_set_all(rd_kafka_conf_t *conf, struct kafka_client *client,
                   const struct connector_option *properties, size_t count,
                   const struct connector_option_row *without, struct error *err);
/* Log lines and opaque pointer. The client must stay where it is until the handle is destroyed. */
void kafka_attach(rd_kafka_conf_t *conf, struct kafka_client *client);
/* Calls noticed(owner) for each line of a category of librdkafka's property "debug", with the line's facility, from librdkafka's threads, which may
 * hold locks of their own: it must not call librdkafka. Lines are shown as before, only when the user has set "debug". After all properties. */
MUST_CHECK
bool kafka_notice(rd_kafka_conf_t *conf, struct kafka_client *client, const char *category,
                  void (*noticed)(void *owner, const char *facility), struct error *err);
/* A handle; takes the configuration, also when it fails (22023 with librdkafka's text, without secrets). */
MUST_CHECK
bool kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct kafka_client *client, rd_kafka_t **out,
                struct error *err);
/* What an error callback was told, without secrets, as the newest error; but that all brokers are down says less than why the last
 * of them was. */
void kafka_note_error(const struct kafka_client *client, int code, const char *reason, struct error *newest);
/* SQLSTATE of an error of a broker or of librdkafka. */
enum error_code kafka_error_code(rd_kafka_resp_err_t err);

#endif
