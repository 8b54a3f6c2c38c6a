/* relation_internal.h: struct relation, for relation.c, the engine and the dataflows. Not for other
 * folders. */
#ifndef MILLRACE_EXECUTOR_RELATION_INTERNAL_H
#define MILLRACE_EXECUTOR_RELATION_INTERNAL_H

#include "executor/feed.h"
#include "executor/relation.h"
#include "executor/retention.h"
#include "executor/watermark.h"
#include "storage/state/hashed_table.h"
#include "storage/state/row_store.h"
#include "storage/state/segments.h"

#include <pthread.h>

struct dataflow;
struct kept_rows;
struct lookup_source;
struct row_queue;
struct subscription;
struct shared_arrangement;

/* A UNIQUE constraint besides the primary key: how many rows hold each value. Engine's thread only. */
struct unique_index {
    char *name;
    uint32_t columns_count;
    uint32_t *columns;
    struct hashed_table *counts; /* payload: int64_t */
    bool is_counting; /* the index is being made: only changes since are counted, nothing is checked */
};

struct relation_index {
    bool used;
    uint32_t columns_count;
    uint32_t *columns;
    uint32_t *store_numbers; /* per shard */
    bool is_unique;
    uint64_t serial; /* of creation: numbers are used again */
};

/* The columns. Never changed: columns that are added make another one. */
struct relation_shape {
    uint32_t columns_count;
    const struct sql_type *types;
    char **column_names;
    uint32_t base_count;         /* behind these were added: */
    const struct datum *missing; /* what rows from before have in them */
};

struct relation {
    _Atomic uint32_t references;
    struct arena arena;     /* names, types */
    struct account account; /* of the rows and, of a view, of its dataflow */
    uint32_t oid;
    enum relation_kind kind;
    char *schema, *name;
    _Atomic(const struct relation_shape *)
        shape; /* relation_shape; changed by the engine's thread between ticks */
    bool append_only;
    bool only_grows;
    const struct outbox_desc *outbox; /* NULL: it is no sink */
    bool no_retention;
    _Atomic uint64_t rows_seen;
    uint32_t key_count;
    uint32_t *key_columns;
    char *key_name;
    uint32_t
        *hash_columns; /* what decides the shard: the key, else every column that was there from the start */
    uint32_t hash_columns_count;
    uint32_t uniques_count;
    struct unique_index *uniques;
    uint32_t indexes_count;
    struct relation_index *indexes; /* changed by the engine's thread under `lock` */
    uint64_t indexes_created;

    uint32_t shards_count;
    struct row_store **stores;  /* per shard, or */
    struct segments **segments; /* per shard */
    struct feed feed;           /* this tick's change */
    uint32_t level;
    uint32_t created_order;                  /* ties in level run in this order */
    struct dataflow *dataflow;               /* views */
    struct shared_arrangement *arrangements; /* keyed by the sub-plan's text; engine's thread */
    uint32_t recorders;                      /* views that are filled from it; engine's thread */
    struct subscription *subscriptions;      /* engine's thread */
    uint64_t created_epoch;
    _Atomic uint64_t last_epoch;
    bool dropped; /* engine's thread */
    /* Event time, engine's thread: streams have a watermark that judges rows; views have what follows from their
     * dataflow's. Rows of append-only relations that have either keep their watermarks and positions. */
    bool has_watermark;
    struct watermark *watermark;
    struct watermark_desc watermark_desc;
    int64_t watermark_now, watermark_previous; /* previous: before the tick watermark_epoch */
    uint64_t watermark_epoch;
    bool watermark_listed;     /* in the engine's list */
    int64_t watermark_wake_us; /* clock at which silence moves it and somebody waits for that */
    struct relation *late;     /* views: their late rows; NULL: cannot have any */
    bool is_late;              /* it is the late rows of a view, under that view's OID */
    _Atomic uint64_t judged_count, late_count;
    struct watermark_stats watermark_stats; /* under `lock` */
    bool touched;                           /* this tick */
    bool listed;                            /* in the engine's list, at listed_at */
    uint32_t listed_at;
    bool wants_trim;
    struct retention *retention; /* NULL: no row goes */
    bool retention_listed;       /* in the engine's list */
    struct kept_rows *kept;      /* tables (kept_rows.h); NULL: all rows stay */
    uint64_t dropped_epoch;      /* in which rows went last */

    /* External tables (cache.h), engine's thread. */
    struct lookup_source *lookup; /* NULL: it is none; then all else is unset */
    struct row_queue *expiries;   /* keys by the time at which they expire; NULL: not made yet */

    pthread_mutex_t lock; /* `dataflow` and `indexes` for other threads, `errors`, `failure` */
    _Atomic bool failed;  /* a view that could not be maintained: reads give `failure` */
    struct error failure;
    struct hashed_table *errors; /* operator, sqlstate, message, row -> int64_t weight */
    _Atomic uint64_t errors_count;
};

/* Lives as long as the relation. Any thread; nobody but the engine's thread and its workers may count on it staying the same. */
static inline const struct relation_shape *relation_shape(const struct relation *relation)
{
    return atomic_load_explicit(&relation->shape, memory_order_acquire);
}
struct relation *relation_create(const struct relation_desc *desc, uint32_t shards_count,
                                 struct account *parent);
/* Columns behind the others, of tables and streams; stores of rows have them (row_store_end_widen). Engine's thread, between two
 * ticks. */
void relation_widen(struct relation *relation, uint32_t count, const struct sql_type *types,
                    const char *const *names, const struct datum *missing);
/* The writer's: what is applied from now on belongs to this epoch; what no snapshot >= oldest wants goes. */
void relation_begin_tick(struct relation *relation, uint64_t epoch);
/* As row_store_trim, of each shard. */
bool relation_trim(struct relation *relation, uint64_t oldest, uint64_t bytes_max);
/* Rows of `change` by the shard that owns them: lists[shard] gets row numbers in the arena, counts[shard] how
 * many. hashes: of the relation's hash_columns. */
void relation_partition(const struct relation *relation, const struct batch *change, const uint64_t *hashes,
                        struct arena *arena, uint32_t **lists, uint32_t *counts);
#define RELATION_ERROR_COLUMNS 4u /* operator, sqlstate, message, row */
/* Makes the table of error rows, empty, if it is not there. Engine's thread. */
void relation_need_errors(struct relation *relation);
void relation_add_error(struct relation *relation, const char *op_name, const char *sqlstate,
                        const char *message, const char *row, int64_t weight);
/* The watermark moves in the tick `epoch`; it never goes back. */
void relation_set_watermark(struct relation *relation, uint64_t epoch, int64_t value);
/* As the tick `epoch` began. */
static inline int64_t relation_watermark_before(const struct relation *relation, uint64_t epoch)
{
    return relation->watermark_epoch == epoch ? relation->watermark_previous : relation->watermark_now;
}
static inline bool relation_watermark_moved(const struct relation *relation, uint64_t epoch)
{
    return relation->watermark_epoch == epoch && relation->watermark_now != relation->watermark_previous;
}
/* Shows other threads where it stands. */
void relation_publish_watermark(struct relation *relation);
/* A row as text, for errors: "(1,a,)". */
void relation_row_text(const struct batch *rows, uint32_t row, const struct io_env *io, struct strbuf *out);
/* Appends rows to a shard of an append-only relation; those without a watermark of their own get `watermark`. */
void relation_append(struct relation *relation, uint32_t shard, const struct batch *rows, int64_t watermark,
                     uint64_t epoch);
/* Whether what it holds is all that it was ever given, less what was deleted. */
static inline bool relation_keeps_all_rows(const struct relation *relation)
{
    return !relation->no_retention && relation->retention == NULL;
}
#define ARRIVAL_COLUMNS 2u /* watermark and position, behind the relation's own */
/* Do its stored rows have a watermark and a position each? */
static inline bool relation_keeps_arrival(const struct relation *relation)
{
    return relation->has_watermark && relation->append_only;
}
static inline uint32_t shard_of_hash(uint64_t hash, uint32_t shards_count)
{
    /* a mixed upper half, so that the tables' use of the same hash stays independent of it */
    return (uint32_t)((((hash * 0x9e3779b97f4a7c15u) >> 32) * shards_count) >> 32);
}

#endif
