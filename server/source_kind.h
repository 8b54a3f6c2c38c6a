/* source_kind.h: what the files of running sources share: one struct per source, one class per way of reading. */
#ifndef MILLRACE_SERVER_SOURCE_KIND_H
#define MILLRACE_SERVER_SOURCE_KIND_H

#include "server/source_align.h"
#include "server/source_thread.h"
#include "server/sources.h"

struct running_source; /* begins every kind's own struct */

struct source_kind {
    /* Checks options and columns of a relation that is about to be created or altered. */
    bool (*check)(struct server *server, const struct catalog_object *object, struct error *err);
    /* Its threads run on return. */
    bool (*start)(struct server *server, struct catalog_object *object, struct running_source **out,
                  struct error *err);
    /* The options that may change have; they have been checked. */
    void (*alter)(struct running_source *source, const struct catalog_object *object);
    /* It will be stopped soon: what it does for that begins, and nothing is waited for. NULL: stop is quick anyhow. */
    void (*hurry)(struct running_source *source);
    /* Ends the threads and frees it. */
    void (*stop)(struct running_source *source);
    /* Texts are in the arena or live as long as the source. */
    void (*status)(struct running_source *source, struct arena *arena, struct source_status *out);
    /* The columns could not be changed as one of its threads has asked for (source_changes.h). NULL: none ever asks. */
    void (*refused)(struct running_source *source, const struct error *err);
    /* NULL: it has no partitions. */
    void (*partitions)(struct running_source *source, struct arena *arena,
                       bool (*visit)(void *ctx, const struct source_partition_status *status), void *ctx);
};

/* Rows of a connector that gives them one after another (connector.h), and of a log in partitions (partitioned.h). */
extern const struct source_kind source_kind_pull, source_kind_log;

struct running_source {
    struct running_source *next;
    const struct source_kind *kind;
    struct server *server;
    struct relation *relation;
    struct catalog_object *object;
    struct source_member *member; /* of its group; NULL: waits for nobody */
    uint32_t time_column;         /* member */
};

/* Holds the object and its relation, and joins the group of its option "align". */
MUST_CHECK
bool running_source_init(struct running_source *source, const struct source_kind *kind, struct server *server,
                         struct catalog_object *object, struct error *err);
void running_source_release(struct running_source *source);
/* Waits while the source is too far ahead of its group, or until the thread is interrupted. */
void running_source_wait_turn(struct running_source *source, struct source_thread *thread);
/* Tells the group how far the source has come. */
void running_source_note_times(struct running_source *source, const struct batch *rows);
/* Does it hold its group up? */
void running_source_set_active(struct running_source *source, bool active);
/* Its threads look again at what they wait for. */
void running_source_wake_group(struct running_source *source);

/* Options of every source. 22023. */
MUST_CHECK
bool source_read_paused(const struct catalog_object *object, bool *paused, struct error *err);

#endif
