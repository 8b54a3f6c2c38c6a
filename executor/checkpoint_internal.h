/* checkpoint_internal.h: what saving and restoring share: who owns saved tables, and under which names. */
#ifndef MILLRACE_EXECUTOR_CHECKPOINT_INTERNAL_H
#define MILLRACE_EXECUTOR_CHECKPOINT_INTERNAL_H

#include "executor/dataflow_internal.h"
#include "storage/state/saved_table.h"

/* One of: a relation's shard, an operator's shard, a view's dataflow as a whole. */
struct owner {
    const char *name; /* on disk */
    uint32_t shard;
    struct relation *relation;
    struct operator* op;
    struct dataflow *flow;
};

void owners_of_relation(struct relation *relation, struct arena *arena,
                        void (*visit)(void *ctx, const struct owner *owner), void *ctx);
void owners_of_view(struct dataflow *flow, struct arena *arena,
                    void (*visit)(void *ctx, const struct owner *owner), void *ctx);
/* Shared arrangements over relations that keep all their rows are filled again instead. */
bool arrangement_is_saved(const struct shared_arrangement *shared);
void owner_tables(const struct owner *owner, struct saved_tables *out);
/* false: it has none. */
bool owner_rest(const struct owner *owner, struct strbuf *out);

#define VIEW_REST_FORMAT 1u
struct view_rest {
    uint32_t format;
    uint32_t shards;
    int64_t watermark;
    uint64_t plan_hash; /* XXH3 of the plan's text: another plan's state means something else */
};

#endif
