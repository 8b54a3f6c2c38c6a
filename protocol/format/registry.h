/* registry.h: a client of schema registries that speak Confluent's REST interface.
 *
 * Schemas never change once they have a number: what a registry said about one is kept for the life of the process, by
 * URL, and shared by all clients. The latest version of a subject is asked for each time.
 *
 * A client belongs to one thread. It waits for the network, so nobody calls it with a lock held. Errors name the URL
 * without its credentials: 08006 when the registry cannot be reached or gives no usable answer (worth another try), 42704 when it
 * has no such schema, subject or version, 22023 when it refuses a schema. */
#ifndef MILLRACE_FORMAT_REGISTRY_H
#define MILLRACE_FORMAT_REGISTRY_H

#include "protocol/format/format.h"

struct registry;

enum registry_kind { REGISTRY_AVRO, REGISTRY_PROTOBUF, REGISTRY_JSON };

struct registry_schema;
struct registry_reference {
    const char *name; /* Avro: the type's full name; Protobuf: the path it is imported by */
    const struct registry_schema *schema;
};

/* Never changed and never freed. */
struct registry_schema {
    enum registry_kind kind;
    const char *text;
    uint32_t references_count;
    const struct registry_reference *references;
};

#define REGISTRY_NO_ID UINT32_MAX

/* Rows for the options of a format that uses a registry. */
#define REGISTRY_OPTION_ROWS                                                                                 \
    {"schema.registry.url", "",                                                                              \
     "where the schema registry answers: 'http://host:8081'; several, with commas between, are tried in "    \
     "turn"},                                                                                                \
        {"schema_registry_user", "", "user of the registry"},                                                \
        {"schema_registry_password", "", "password of that user; it is shown nowhere"},                      \
        {"schema_registry_token", "", "bearer token, instead of a user; it is shown nowhere"},               \
        {"schema_registry_ca", "",                                                                           \
         "file with the certificates that the registry's own is checked against; without one the system's"}, \
        {"schema_registry_certificate", "", "file with the certificate shown to the registry"},              \
        {"schema_registry_key", "", "file with the private key of that certificate"},                        \
        {"schema_registry_timeout", "10000", "milliseconds after which an answer is given up"},              \
        {"schema_subject", "topic_name",                                                                     \
         "the subject of a value's schema: topic_name: the topic's name and '-value'; record_name: the "     \
         "record's; topic_record_name: both; any other word is the subject itself"},                         \
    {                                                                                                        \
        "schema_key_subject", "topic_name",                                                                  \
            "the subject of a key's schema, likewise; topic_name: the topic's name and '-key'"               \
    }

/* Does the option say where the registry is, or who asks it? Others say which schema is meant. */
bool registry_option_connects(const char *name);
/* A client by the options of a spec, or NULL in *out when they name no registry. Connects to nothing. 22023 naming the
 * option. out may be NULL: checks only. */
MUST_CHECK
bool registry_open(const struct format_class *class, const struct format_spec *spec, struct registry **out,
                   struct error *err);
void registry_close(struct registry *registry);

/* The subject of a value's or key's schema in the arena. record_name: full name of its record, NULL: unknown. 22023 when the
 * strategy needs a name that nobody knows. */
MUST_CHECK
bool registry_subject(const struct format_class *class, const struct format_spec *spec, bool is_key,
                      const char *record_name, struct arena *arena, const char **out, struct error *err);

/* Threads that want the same unknown schema ask once. That there is none is believed for ten seconds. */
MUST_CHECK
bool registry_by_id(struct registry *registry, uint32_t id, const struct registry_schema **out,
                    struct error *err);
/* id and version may be NULL. */
MUST_CHECK
bool registry_latest(struct registry *registry, const char *subject, const struct registry_schema **out,
                     uint32_t *id, uint32_t *version, struct error *err);
MUST_CHECK
bool registry_version(struct registry *registry, const char *subject, uint32_t version,
                      const struct registry_schema **out, uint32_t *id, struct error *err);
/* The numbers of a subject's versions, ascending, in the arena. */
MUST_CHECK
bool registry_versions(struct registry *registry, const char *subject, struct arena *arena, uint32_t **out,
                       uint32_t *count, struct error *err);
/* The id of a schema under a subject, which is given a new version when it has none like it. 22023 with the registry's words
 * when the subject's compatibility forbids it. */
MUST_CHECK
bool registry_register(struct registry *registry, const char *subject, enum registry_kind kind,
                       const char *text, uint32_t *id, struct error *err);

#endif
