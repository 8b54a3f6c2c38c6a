/* checkpoint.h: what all relations and operators remember, copied out between ticks while ticks go on, and put back
 * (docs/durability.md).
 *
 * The engine's thread copies changed rows in small steps, in rounds: rows that change again meanwhile are copied again in
 * the next round. When what is left fits into one step, that step ends the checkpoint at the epoch that was reached.
 * The pieces, in the order in which they were given, are then the state at that epoch: a slot's last piece
 * counts. */
#ifndef MILLRACE_EXECUTOR_CHECKPOINT_H
#define MILLRACE_EXECUTOR_CHECKPOINT_H

#include "executor/engine.h"
#include "storage/disk/checkpoint_store.h"

/* Where the pieces go. */
struct checkpoint_sink {
    void *ctx;
    /* Engine's thread; false: what is given out waits, engine_checkpoint_wake says when to ask again. */
    bool (*has_room)(void *ctx);
    /* Engine's thread: takes the piece over (checkpoint_piece_free). */
    void (*put)(void *ctx, struct checkpoint_piece *piece);
    /* Engine's thread: the pieces are complete, as of this epoch. owners: all there are. */
    void (*complete)(void *ctx, uint64_t epoch, int64_t clock_us, const char *const *owners,
                     uint32_t owners_count);
};

/* Any thread. One at a time: the next may start when engine_checkpoint_end has returned. The sink is copied. */
void engine_checkpoint_start(struct engine *engine, const struct checkpoint_sink *sink);
void engine_checkpoint_wake(struct engine *engine);
/* valid: the pieces can be read again after a restart; else what was copied counts as changed again. Before `complete` was
 * called it gives up. */
void engine_checkpoint_end(struct engine *engine, bool valid);
/* After engine_create_view: whether a checkpoint has become complete since the epoch at which the view was filled. Those that
 * did so before it went live are without its state, and let the log go behind that epoch: then the view must be in a
 * checkpoint before anybody may rely on it. (One that came right behind it has it; nothing is lost by another.) Any thread. */
bool engine_checkpoint_lacks(struct engine *engine, const struct relation *view);
/* Blocks until everything up to the epoch is durable in the log; false: it never will be, the log has given up. */
bool engine_wait_durable(struct engine *engine, uint64_t epoch);

/* ---- putting back; before the first tick is replayed ---- */

/* The engine continues behind this epoch, whose tick had this clock. */
void engine_restore_epoch(struct engine *engine, uint64_t epoch, int64_t clock_us);
/* The contents of freshly created tables, streams and sequences, several at once. saved_shards: of the checkpoint; another number
 * than the engine's is for relations that keep all their rows and have no watermark. XX001 when pieces are damaged or do
 * not fit; *failed: whose. */
MUST_CHECK
bool engine_restore_relations(struct engine *engine, struct checkpoint_store *store, uint32_t saved_shards,
                              struct relation *const *relations, uint32_t count, struct relation **failed,
                              struct error *err);
/* As engine_create_view, but contents and operators get back what was saved. What cannot be taken back (nothing was saved, or
 * for another plan or number of shards: *why says it) is filled again at the engine's epoch when may_refill says that its
 * inputs, restored before, hold everything it depends on; else XX001. *why: code NONE when nothing was filled. */
MUST_CHECK
bool engine_restore_view(struct engine *engine, struct checkpoint_store *store,
                         const struct relation_desc *desc, struct plan *plan, struct arena *plan_arena,
                         const struct eval_env *env, uint64_t created_epoch, bool may_refill,
                         struct relation **out, struct error *why, struct error *err);

#endif
