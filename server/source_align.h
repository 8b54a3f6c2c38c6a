/* source_align.h: sources of one group wait for each other in event time: WITH (align = 'group', max_skew = '1 minute').
 *
 * A member whose greatest event time is more than max_skew ahead of the lowest of the group's waits before it asks its
 * connector for more. Members that are paused, at their end or silent for longer than their idle_timeout hold nobody up;
 * one that has given no row yet does. The lowest never waits. Any thread. */
#ifndef MILLRACE_SERVER_SOURCE_ALIGN_H
#define MILLRACE_SERVER_SOURCE_ALIGN_H

#include <stdbool.h>
#include <stdint.h>

struct source_groups;
struct source_member;

struct source_groups *source_groups_create(void);
void source_groups_destroy(struct source_groups *groups); /* every member has left */

/* group is copied. idle_timeout_us 0: never silent. */
struct source_member *source_group_join(struct source_groups *groups, const char *group, int64_t max_skew_us,
                                        int64_t idle_timeout_us);
void source_group_leave(struct source_member *member);
/* Rows came; INT64_MIN: none of them had a time. */
void source_group_rows(struct source_member *member, int64_t greatest_us);
/* Does it hold others up? Members begin active. */
void source_group_set_active(struct source_member *member, bool active);
/* Returns when the member is not too far ahead, or when give_up(ctx) says so: it is asked again after each change of
 * the group and after source_groups_wake. */
void source_group_wait(struct source_member *member, bool (*give_up)(void *ctx), void *ctx);
void source_groups_wake(struct source_groups *groups);
bool source_group_is_waiting(struct source_member *member);

#endif
