/* kafka.c: properties of librdkafka as options, without ever showing a secret. */
#include "protocol/connector/kafka.h"

#include "storage/base/log.h"

#include <string.h>

/* Whoever may create a source may not for that run commands or load code on the server's machine; and what tests of librdkafka
 * use is no property for users. */
static const struct kafka_reserved reserved_always[] = {
    {"plugin.library.paths", "it would load code into the server"},
    {"ssl.engine.location", "it would load code into the server"},
    {"ssl.engine.id", "it would load code into the server"},
    {"ssl.provider.location", "it would load code into the server"},
    {"sasl.kerberos.kinit.cmd", "it would run a command on the server"},
    {"enable.sasl.oauthbearer.unsecure.jwt", "tokens that nobody signed protect nothing"},
    {"metadata.broker.list", "it is another name of bootstrap.servers"},
    {"test.mock.num.brokers", "it is for tests of librdkafka"},
    {"test.mock.broker.rtt", "it is for tests of librdkafka"},
    {"allow.auto.create.topics", "a source would make the topic again that somebody deleted"},
    {"log.queue", "log lines go to the server's log"},
    {NULL, NULL},
};

/* Names that contain one of these have values that nobody may see. */
static const char *const secret_words[] = {"password", "secret",      "ssl.key",      "ssl_key",
                                           ".pem",     "oauthbearer", "sasl.username"};

static bool is_secret(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(secret_words); i++) {
        if (strstr(name, secret_words[i]) != NULL)
            return true;
    }
    return false;
}

void kafka_client_init(struct kafka_client *client, const char *name, void *owner)
{
    *client = (struct kafka_client){.name = mem_strdup(name), .owner = owner};
}

void kafka_client_release(struct kafka_client *client)
{
    for (uint32_t i = 0; i < client->secrets_count; i++)
        mem_free(client->secrets[i]);
    mem_free(client->secrets);
    mem_free(client->name);
    *client = (struct kafka_client){0};
}

/* In place: what stands for a secret is never longer than the secret. */
static void hide(char *text, const char *secret)
{
    size_t len = strlen(secret), stars = len < 3 ? len : 3;
    for (char *at = len > 0 ? strstr(text, secret) : NULL; at != NULL; at = strstr(at + stars, secret)) {
        memset(at, '*', stars);
        memmove(at + stars, at + len, strlen(at + len) + 1);
    }
}

void kafka_hide(const struct kafka_client *client, char *text)
{
    for (uint32_t i = 0; i < client->secrets_count; i++)
        hide(text, client->secrets[i]);
}

const char *kafka_why_reserved(const struct kafka_reserved *reserved, const char *name)
{
    while (reserved->name != NULL && strcmp(reserved->name, name) != 0)
        reserved++;
    return reserved->why;
}

/* false with 22023; nothing is remembered. */
static bool set(rd_kafka_conf_t *conf, const char *connector, const char *name, const char *value,
                struct error *err)
{
    char text[ERROR_TEXT_MAX] = "";
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof(text))) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized option \"%s\" of connector \"%s\"",
                  name, connector);
        return error_hint(err, "It has the options of the documentation and the properties of librdkafka %s.",
                          rd_kafka_version_str());
    default:
        break;
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\"", name);
    if (is_secret(name))
        hide(text, value);
    return error_detail(err, "%s", text);
}

bool kafka_accepts(const struct kafka_reserved *reserved, const char *connector, const char *name,
                   const char *value, struct error *err)
{
    const char *why = kafka_why_reserved(reserved_always, name);
    why = why != NULL ? why : kafka_why_reserved(reserved, name);
    if (why != NULL) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"%s\" of connector \"%s\" cannot be set",
                  name, connector);
        return error_detail(err, "%s", why);
    }
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    bool ok = set(scratch, connector, name, value, err);
    rd_kafka_conf_destroy(scratch);
    return ok;
}

bool kafka_set(rd_kafka_conf_t *conf, struct kafka_client *client, const char *name, const char *value,
               struct error *err)
{
    if (is_secret(name) && value[0] != '\0') {
        client->secrets = mem_realloc(client->secrets, sizeof(char *) * (size_t)(client->secrets_count + 1));
        client->secrets[client->secrets_count++] = mem_strdup(value);
    }
    return set(conf, "kafka", name, value, err);
}

bool kafka_set_all(rd_kafka_conf_t *conf, struct kafka_client *client,
                   const struct connector_option *properties, size_t count,
                   const struct connector_option_row *without, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool is_left_out = without != NULL && connector_option_row(without, properties[i].name) != NULL;
        if (!is_left_out && !kafka_set(conf, client, properties[i].name, properties[i].value, err))
            return false;
    }
    return true;
}

static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct kafka_client *client = rd_kafka_opaque(rk);
    if (level >= 7 && client->noticed != NULL)
        client->noticed(client->owner, facility);
    if (level >= 7 && client->hides_debug)
        return;
    if (client->is_quiet && level > 2 && level < 7)
        return;
    enum log_level to = level <= 4 ? LOG_WARNING : LOG_DEBUG; /* syslog's levels: 4 is a warning */
    /* Each attempt to connect that fails is one; whoever owns the handle says once that the broker is gone. */
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0)
        to = LOG_DEBUG;
    if (level >= 7) /* only with property "debug", by which somebody wants to see it */
        to = LOG_INFO;
    char *clean = mem_strdup(text);
    kafka_hide(client, clean);
    log_write(to, "kafka \"%s\": %s: %s", client->name, facility, clean);
    mem_free(clean);
}

void kafka_attach(rd_kafka_conf_t *conf, struct kafka_client *client)
{
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, log_line);
}

bool kafka_notice(rd_kafka_conf_t *conf, struct kafka_client *client, const char *category,
                  void (*noticed)(void *owner, const char *facility), struct error *err)
{
    struct strbuf debug = STRBUF_INIT;
    size_t size = 0;
    CHECK(rd_kafka_conf_get(conf, "debug", NULL, &size) == RD_KAFKA_CONF_OK);
    char *shown = mem_zalloc(size + 1);
    CHECK(rd_kafka_conf_get(conf, "debug", shown, &size) == RD_KAFKA_CONF_OK);
    strbuf_addf(&debug, "%s%s%s", shown, shown[0] != '\0' ? "," : "", category);
    client->hides_debug = shown[0] == '\0';
    client->noticed = noticed;
    bool ok = set(conf, "kafka", "debug", strbuf_text(&debug), err);
    mem_free(shown);
    strbuf_release(&debug);
    return ok;
}

bool kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct kafka_client *client, rd_kafka_t **out,
                struct error *err)
{
    char text[ERROR_TEXT_MAX] = "";
    *out = rd_kafka_new(type, conf, text, sizeof(text));
    if (*out != NULL)
        return true;
    rd_kafka_conf_destroy(conf);
    kafka_hide(client, text);
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "options of \"%s\" do not fit together", client->name);
    return error_detail(err, "%s", text);
}

void kafka_note_error(const struct kafka_client *client, int code, const char *reason, struct error *newest)
{
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && newest->code != ERRCODE_NONE)
        return;
    char *clean = mem_strdup(reason);
    kafka_hide(client, clean);
    error_set(newest, kafka_error_code((rd_kafka_resp_err_t)code), "%s", clean);
    mem_free(clean);
}

enum error_code kafka_error_code(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return ERRCODE_UNDEFINED_TABLE;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return ERRCODE_INVALID_NAME;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return ERRCODE_INSUFFICIENT_PRIVILEGE;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
        return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        return ERRCODE_DATA_CORRUPTED;
    default:
        return ERRCODE_CONNECTION_FAILURE;
    }
}
