/* checkpoint_store.h: checkpoints in state.db: which are valid, and their pieces.
 *
 * A piece is rows of one table of state (storage/state/saved_table.h) of one owner and shard: compressed columns with an
 * XXH3 checksum. Pieces are written in transactions of their own under the number of a checkpoint that is not valid yet;
 * checkpoint_store_commit makes it so, in one transaction with the removal of what it replaces. What an invalid one has
 * left is not read, and removed by the next one.
 *
 * Writing belongs to one thread; reading happens before it starts, by any number of threads: they wait for each other only
 * while the bytes of a piece come from the file. */
#ifndef MILLRACE_DISK_CHECKPOINT_STORE_H
#define MILLRACE_DISK_CHECKPOINT_STORE_H

#include "storage/data/batch.h"

struct checkpoint_store;
struct catalog_store;

enum piece_kind {
    PIECE_VOID,  /* what was saved of this table before does not count */
    PIECE_SLOTS, /* rows by slot number, and slots that are free now */
    PIECE_ROWS,  /* rows in order, by number */
    PIECE_FRONT, /* rows before `first` are gone */
    PIECE_REST,  /* bytes, in place of those before */
};

struct checkpoint_piece {
    struct arena arena; /* holds what follows, and the piece itself */
    struct checkpoint_piece *next;
    const char *owner; /* "r16385": a relation; "v16390/3/aggregate": an operator of a view */
    uint32_t shard;
    const char *table; /* "" for PIECE_REST */
    uint32_t version;
    enum piece_kind kind;
    uint64_t first;        /* PIECE_ROWS, PIECE_FRONT */
    const uint32_t *slots; /* PIECE_SLOTS: of rows */
    const uint32_t *freed; /* PIECE_SLOTS */
    uint32_t freed_count;
    const struct batch *rows; /* NULL: none */
    const void *rest;
    size_t rest_bytes;
};
struct checkpoint_piece *checkpoint_piece_new(struct account *account);
void checkpoint_piece_free(struct checkpoint_piece *piece);

struct checkpoint_info {
    uint64_t number, epoch;
    int64_t clock_us; /* of the epoch's tick */
    uint32_t shards;
    int64_t started_us, ended_us;
    uint64_t rows, bytes; /* written for it */
};

/* In the catalog's file, which the caller closes after this. 58030, 53100, XX001. */
MUST_CHECK
bool checkpoint_store_open(struct catalog_store *catalog, struct checkpoint_store **out, struct error *err);
void checkpoint_store_close(struct checkpoint_store *store);
/* The newest valid one; number 0: there is none. */
MUST_CHECK
bool checkpoint_store_newest(struct checkpoint_store *store, struct checkpoint_info *out, struct error *err);
/* The greatest OID that pieces belong to, also of objects that never came to be; 0: none. */
MUST_CHECK
bool checkpoint_store_last_oid(struct checkpoint_store *store, uint32_t *oid, struct error *err);

/* ---- writing ---- */

/* Begins a checkpoint: clears what an unfinished one has left. */
MUST_CHECK
bool checkpoint_store_begin(struct checkpoint_store *store, struct error *err);
/* Pieces of one table are to come in a row where possible: they share a blob of up to a megabyte. Takes the piece
 * over, also on failure. */
MUST_CHECK
bool checkpoint_store_put(struct checkpoint_store *store, struct checkpoint_piece *piece, struct error *err);
/* Makes it the newest valid one. owners: those whose pieces stay. *info is completed. */
MUST_CHECK
bool checkpoint_store_commit(struct checkpoint_store *store, const char *const *owners, uint32_t owners_count,
                             struct checkpoint_info *info, struct error *err);
void checkpoint_store_abort(struct checkpoint_store *store);

/* ---- reading the newest valid one ---- */

/* The rest of an owner's shard, in the arena; NULL: none was saved. */
MUST_CHECK
bool checkpoint_store_read_rest(struct checkpoint_store *store, const char *owner, uint32_t shard,
                                struct arena *arena, const void **rest, size_t *rest_bytes,
                                struct error *err);
/* Rows of a table, decoded as these types; a piece may lack the last ones but the first types_least. PIECE_SLOTS: *used is told before the first visit (slots have smaller
 * numbers); each slot comes once. PIECE_ROWS: in order, `first` of each batch. visit's memory is borrowed. */
struct checkpoint_visitor {
    void *ctx;
    void (*begin)(void *ctx, uint32_t used);
    bool (*visit)(void *ctx, const uint32_t *slots, uint64_t first, const struct batch *rows,
                  uint32_t version, struct error *err);
};
MUST_CHECK
bool checkpoint_store_read(struct checkpoint_store *store, const char *owner, uint32_t shard,
                           const char *table, const struct sql_type *types, uint32_t types_least,
                           uint32_t types_count, const struct checkpoint_visitor *visitor, struct error *err);

#endif
