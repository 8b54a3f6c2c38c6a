/* late_places.h: where in a view's plan rows can be late, and what the relation of its late rows looks like. */
#ifndef MILLRACE_PLANNER_LATE_PLACES_H
#define MILLRACE_PLANNER_LATE_PLACES_H

#include "executor/plan.h"
#include "executor/relation.h"

/* Numbers the latenesses of the plan and describes their rows; NULL: none can be late. In the arena. */
const struct late_desc *late_places(struct arena *arena, struct plan *plan);
/* The name of a plan's column as its relation has it; NULL: it was computed. */
const char *plan_column_name(const struct plan *plan, uint32_t column);

#endif
