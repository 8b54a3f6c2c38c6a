/* relation.h: a stored relation at run time: table, stream, or the contents of a materialized view.
 *
 * Rows lie in shards: append-only relations (streams; views whose change stream holds no retraction and that
 * have no key) in columnar segments, all others in a versioned row store keyed by primary key or whole row.
 * Created and changed by the engine between ticks, read by any thread at a snapshot. Reference-counted: a
 * plan holds one per relation it scans, so that DROP never pulls rows away from a running SELECT. */
#ifndef MILLRACE_EXECUTOR_RELATION_H
#define MILLRACE_EXECUTOR_RELATION_H

#include "storage/data/batch.h"

enum relation_kind { RELATION_TABLE, RELATION_STREAM, RELATION_VIEW };

struct outbox_desc; /* executor/outbox.h */

struct unique_desc {
    const char *name; /* constraint name, for 23505 */
    uint32_t columns_count;
    const uint32_t *columns;
};

/* What rows with late times, silence and wrong clocks do to a relation: WATERMARK and the options of CREATE STREAM.
 * Times are microseconds. */
struct watermark_desc {
    bool is_declared;
    bool
        is_bounded; /* views: no row at or behind the watermark changes any more; else such rows come, late */
    uint32_t column; /* timestamp or timestamptz */
    const struct expr
        *expression;      /* over the relation's columns: what the watermark is after this row alone; NULL (of
                                      views): what their dataflow says */
    const char *text;     /* for listings */
    const char *timezone; /* the expression is computed in this zone; NULL: UTC */
    /* The watermark is the lowest of its values' watermarks; -1: one for all; WATERMARK_BY_SOURCE: of those of the source's
     * partitions (struct txn_change) */
    int32_t partition_column;
    int64_t idle_timeout_us; /* a partition without rows for so long is left out; 0: never */
    bool
        advances_when_idle; /* after idle_timeout without any row the watermark goes on with the wall clock */
    int64_t max_future_us;  /* rows further ahead of the wall clock are rejected; 0: none is */
    int64_t hold_us;        /* views: behind their dataflow's watermark */
};

#define WATERMARK_BY_SOURCE (-2)

/* The late rows of a view. Their columns: those of the rows that can be late (where several places find late rows:
 * the columns of all of them, by name), then window_start, window_end, watermark and source_position. */
#define LATE_EXTRA_COLUMNS 4u
struct late_desc {
    uint32_t columns_count; /* with the extra ones */
    const struct sql_type *types;
    const char *const *names;
    uint32_t places_count; /* plan_lateness.number */
    const uint32_t *const
        *places; /* per place, per column but the extra ones: the place's column; UINT32_MAX: none */
    bool keeps_rows;
};

/* What DDL says about a relation. Copied by engine_create_*. */
struct relation_desc {
    uint32_t oid;
    enum relation_kind kind;
    const char *schema;
    const char *name;
    uint32_t columns_count;
    const struct sql_type *types;
    const char *const *column_names;
    /* Tables and streams: the first so many were there from the start; rows from before one of the others was added have its
     * missing value. 0: all were. */
    uint32_t base_count;
    const struct datum *missing; /* [columns_count - base_count] */
    bool append_only;
    bool no_retention;       /* append-only, and its rows are only passed on to views: none is kept */
    int64_t retention_us;    /* append-only: rows that came longer ago go; 0: none do */
    uint64_t retention_rows; /* the same of rows that so many have come after */
    uint32_t key_count;      /* primary key (tables), or the unique key a view's plan has; 0: whole row */
    const uint32_t *key_columns;
    const char *key_name;  /* constraint name */
    uint32_t unique_count; /* further UNIQUE constraints */
    const struct unique_desc *uniques;
    struct watermark_desc watermark;
    const struct late_desc *late; /* views: NULL when no row can be late */
    bool is_cache; /* of an external table: the last CACHE_COLUMNS columns are its own; there is a key */
    int64_t memory_limit_bytes;       /* views: contents and state; 0: none */
    bool only_grows;                  /* views: no row goes or changes, though they may have a key */
    const struct outbox_desc *outbox; /* sinks (executor/outbox.h), in place of contents; NULL: it is none */
};

/* Behind an external table's own columns its relation has found (boolean: false says that there is no row with the key, whose
 * other columns are NULL) and expires (timestamptz). A row that is inserted replaces the one with its key; it goes with the
 * first tick whose clock has reached expires. */
#define CACHE_COLUMNS 2u

struct relation;

uint32_t relation_oid(const struct relation *relation);
const char *relation_name(const struct relation *relation);
enum relation_kind relation_kind(const struct relation *relation);
/* As many as there are now: columns may be added behind them (engine_add_columns) while somebody works with those that a
 * catalog object or a plan has. Types and names stay where they are. */
uint32_t relation_columns(const struct relation *relation, const struct sql_type **types);
const char *const *relation_column_names(const struct relation *relation);
/* The epoch of the tick in which a view was filled; 0 for other relations. */
uint64_t relation_created_epoch(const struct relation *relation);
bool relation_is_append_only(const struct relation *relation);
/* As above, or a view with a key of which no row goes or changes. */
bool relation_only_grows(const struct relation *relation);
/* A view or sink that could not be maintained; *err says why. */
bool relation_has_failed(struct relation *relation, struct error *err);
/* The key columns; 0 when rows are identified by their whole contents. */
uint32_t relation_key(const struct relation *relation, const uint32_t **columns);
/* Of an external table: where its rows are asked for; NULL: it is none. */
struct lookup_source;
struct lookup_source *relation_lookup_source(const struct relation *relation);
/* How many of them were there from the start. */
uint32_t relation_base_columns(const struct relation *relation);
/* Rows with the first columns of the relation, however many, as rows with its first columns_count ones: those beyond are left
 * out, those that are not there have their missing values. Header (or the rows themselves) in the arena; values are shared. */
const struct batch *relation_fit(const struct relation *relation, const struct batch *rows,
                                 uint32_t columns_count, struct arena *arena);
void relation_retain(struct relation *relation);
void relation_release(struct relation *relation);

/* ---- reading, any thread ---- */

/* Scans the rows visible at a snapshot, with the columns there are when it starts. Fill with relation_scan_start; each call of relation_scan_next gives
 * a borrowed batch of up to BATCH_ROWS_MAX rows (valid until the next call), NULL at the end. Weights may be
 * > 1. */
struct relation_scan {
    struct relation *relation;
    const struct relation_shape *shape;
    uint64_t snapshot;
    uint32_t shard;
    uint64_t cursor;
    struct batch *batch;
    struct arena arena;
};
void relation_scan_start(struct relation_scan *scan, struct relation *relation, uint64_t snapshot,
                         struct account *account);
const struct batch *relation_scan_next(struct relation_scan *scan);
void relation_scan_end(struct relation_scan *scan);
/* Appends to out, which has the relation's columns or the first of them, the rows visible at the snapshot whose key (index -1) or secondary index columns equal those
 * of each row of `keys`, whose columns are `columns` of the relation. An index that was dropped in the
 * meantime gives way to a scan. */
void relation_lookup(struct relation *relation, int32_t index, const uint32_t *columns, uint64_t snapshot,
                     const struct batch *keys, struct batch *out);

struct relation_stats {
    uint64_t rows;      /* newest */
    uint64_t rows_seen; /* append-only: all that ever came */
    int64_t bytes;
    uint64_t last_epoch; /* of its last change */
    uint64_t rows_in,
        rows_out;        /* view: rows its operators took in and handed out, all together, since creation */
    uint64_t errors;     /* view: rows in its error relation */
    int64_t busy_ns;     /* view: time its dataflow ran */
    int64_t state_bytes; /* view: operator state without the contents */
};
void relation_stats(struct relation *relation, struct relation_stats *out);

/* Does it have a watermark, of which column, and is it bounded (struct watermark_desc)? Any thread. */
bool relation_event_time(const struct relation *relation, uint32_t *column, bool *is_bounded);
/* The watermark of a source that has ended. */
#define WATERMARK_END (INT64_MAX - 1)
/* The state of a relation's watermark, any thread; false: it has none. */
struct watermark_stats {
    uint32_t column;
    const char *text;    /* of the declaration; NULL for views */
    int64_t watermark;   /* WATERMARK_NONE: no row so far */
    int64_t greatest;    /* highest event time so far */
    int64_t last_row_us; /* wall clock of the last row */
    uint32_t partitions, idle_partitions;
    uint64_t rejected; /* rows beyond max_future */
};
bool relation_watermark(struct relation *relation, struct watermark_stats *out);
/* Of a view: the relation its late rows lie in (columns: docs/event-time.md), NULL when it can have none; how many
 * (row, window) pairs were judged and how many of them were late. */
struct relation *relation_late_rows(const struct relation *relation);
void relation_late_counts(const struct relation *relation, uint64_t *judged, uint64_t *late);

/* Rows of a view's error relation: SQLSTATE, message, the failing row as text, operator name, weight. */
typedef bool (*relation_error_fn)(void *ctx, const char *sqlstate, const char *message, const char *row,
                                  const char *op_name, int64_t weight);
void relation_errors(struct relation *relation, relation_error_fn visit, void *ctx);
/* Statistics of each operator of a view's dataflow, all shards summed, in plan order. */
struct operator_stats {
    uint32_t id;
    uint32_t depth;
    const char *name;
    uint64_t rows_in, rows_out, batches, state_rows;
    int64_t state_bytes, busy_ns;
};
typedef bool (*relation_operator_fn)(void *ctx, const struct operator_stats *stats);
void relation_operators(struct relation *relation, relation_operator_fn visit, void *ctx);

#endif
