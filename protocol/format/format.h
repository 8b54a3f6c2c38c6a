/* format.h: records to rows and rows to records: one class per format, one table row for users.
 *
 * A decoder belongs to one thread. It appends straight to the columns of a batch.
 *
 * Keys. The server hands over the record with key and value and need not look at either. The columns of the primary key are read from the
 * value like all others or, with option key_columns = 'key', from the record's key. A record without a value is a tombstone: in a table it
 * deletes the row of its key, which is read from the record's key by option key_format; in a stream it is refused (22004), except by
 * formats whose rows have one column (text, raw): there it is a NULL. Text without a zone is UTC. */
#ifndef MILLRACE_FORMAT_FORMAT_H
#define MILLRACE_FORMAT_FORMAT_H

#include "protocol/connector/connector.h"
#include "protocol/connector/record.h"
#include "storage/data/batch.h"

struct decoder; /* begins every format's own struct */
struct encoder; /* likewise */

struct format_column {
    const char *name;
    struct sql_type type;
    const char
        *path;   /* where it is in the record, as column OPTIONS (path 'a.b[0]') says; NULL: under its name */
    bool is_key; /* of the primary key */
    bool not_null;
};

/* Borrowed during open. */
struct format_spec {
    const char *relation_name;
    const char *topic; /* where records come from or go to, for subjects in a registry; NULL: unknown */
    uint32_t columns_count;
    const struct format_column *columns;
    const struct connector_option
        *options; /* those of the format's table, and those of the registry (registry.h) */
    uint32_t options_count;
    bool is_table; /* rows replace the one with their key, and may be deleted; else there are only inserts */
};

/* What has to be done to a relation's columns before some records can be taken. */
struct format_change {
    bool is_new;                 /* a column is added; else one gets the type */
    struct format_column column; /* name, type and path */
};

struct format_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name; shared by both directions */
    /* Checks options and columns (22023, 42703, 42804 naming them); with out NULL that is all, and no registry is asked. */
    bool (*open_decoder)(const struct format_spec *spec, struct decoder **out, struct error *err);
    /* Appends what the record says to out, whose first columns are the spec's (those behind them are the caller's, who sets them before anything reads the row):
     * a row to insert or, in tables, to replace the one with its key; with weight -1 and only the key's columns set, a deletion of
     * that key. May append nothing (a heartbeat). Bytes are copied into the batch's arena. false: it cannot be decoded, *why says so
     * with the column or position (22P02, 22P04, 23502, 22003 ...), and nothing was appended; 08006: the registry cannot be asked for the
     * record's schema now, try it again; 55000: its schema has changed and option schema_change says to stop here. */
    bool (*decode)(struct decoder *decoder, const struct record *record, struct batch *out,
                   struct error *why);
    /* After decode has said 55000: what would let it go on, by option schema_change; 0: nothing but other options. Borrowed until the next decode. NULL: it
     * never says 55000. */
    uint32_t (*changes)(struct decoder *decoder, const struct format_change **out);
    void (*close_decoder)(struct decoder *decoder);
    /* NULL: the format is only read. Checks as open_decoder. */
    bool (*open_encoder)(const struct format_spec *spec, struct encoder **out, struct error *err);
    /* Appends the value of a row, and the key made of the spec's key columns (nothing when there are none). is_deletion: the row with this
     * key is gone; its key is appended, and a value only by formats that have one for it (debezium): where value is still empty, a
     * tombstone is to be sent. */
    bool (*encode)(struct encoder *encoder, const struct batch *rows, uint32_t row, bool is_deletion,
                   struct strbuf *key, struct strbuf *value, struct error *err);
    void (*close_encoder)(struct encoder *encoder);
    /* Columns as the schema in registry or options has them, for a CREATE without a column list; in the arena. NULL: the format cannot
     * tell. */
    bool (*infer)(const struct format_spec *spec, struct arena *arena, struct format_column **out,
                  uint32_t *count, struct error *err);
};

struct decoder {
    const struct format_class *class;
};
struct encoder {
    const struct format_class *class;
};

extern const struct format_class format_json;
extern const struct format_class format_csv;
extern const struct format_class format_text;
extern const struct format_class format_raw;
extern const struct format_class format_debezium;
extern const struct format_class format_avro;
extern const struct format_class format_protobuf;

/* NULL when there is none of that name. */
const struct format_class *format_find(const char *name);
const struct format_class *format_at(size_t index);
/* An option's value, its default, or NULL. */
const char *format_option(const struct format_class *class, const struct format_spec *spec, const char *name);
/* Is it an option of the format? */
bool format_has_option(const struct format_class *class, const char *name);

/* ---- for formats: options ---- */

/* The number of the option's value among words, which end with NULL. 22023 naming the option and the words. */
MUST_CHECK
bool format_option_word(const struct format_class *class, const struct format_spec *spec, const char *name,
                        const char *const *words, uint32_t *out, struct error *err);
MUST_CHECK
bool format_option_bool(const struct format_class *class, const struct format_spec *spec, const char *name,
                        bool *out, struct error *err);
/* One byte. */
MUST_CHECK
bool format_option_byte(const struct format_class *class, const struct format_spec *spec, const char *name,
                        char *out, struct error *err);
/* Every option of the spec must be one of the class's: 22023. */
MUST_CHECK
bool format_check_options(const struct format_class *class, const struct format_spec *spec,
                          struct error *err);
/* For formats without places in records: no column may have a path, 22023. */
MUST_CHECK
bool format_check_no_paths(const struct format_class *class, const struct format_spec *spec,
                           struct error *err);

/* Puts the column's name before the message of an error, and into its field. Returns false. */
bool format_blame_column(struct error *err, const char *column);

/* ---- for formats: a row behind the last of a batch of batch_create ---- */

/* Makes room and returns the row's number; all its values are NULL or zero until set. */
uint32_t format_row_begin(struct batch *out);
/* ok: the row counts from here on, weight: +1 or -1. Else it was begun, or NULLs were put into it, and it is not to be. Returns ok. */
bool format_row_finish(struct batch *out, bool ok, int64_t weight);

#endif
