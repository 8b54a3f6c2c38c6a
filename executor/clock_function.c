/* clock_function.c: expressions over the clock as steps; where they fall, when a comparison with them turns. */
#include "executor/clock_function.h"

#include "executor/function.h"
#include "executor/functions/time_kernel.h"
#include "executor/operator.h"
#include "storage/data/datetime_io.h"

#define CLOCK_MIN     (-(INT64_C(1) << 57))
#define CLOCK_MAX     (INT64_C(1) << 60)
#define REACH_MAX     (INT64_C(1) << 58) /* 9000 years */
#define DAYS_MAX      3000000
#define MONTHS_MAX    100000
#define MEAN_MONTH_US (2629746 * US_PER_SECOND)
#define ZONE_OFFSET_US                                                                                       \
    (16 * 3600 * US_PER_SECOND) /* of zones of the world; zones written by hand may have more */
#define HAND_OFFSET_US (7 * US_PER_DAY)

enum step_kind {
    STEP_TO_LOCAL,   /* instant -> local time of the zone; falls where the offset becomes less */
    STEP_FROM_LOCAL, /* and back; falls where a gap of local time ends */
    STEP_MONTHS, /* local; falls at midnights, where days that the month does not have become the next month's */
    STEP_ADD,    /* microseconds */
    STEP_TRUNC,        /* local */
    STEP_TRUNC_WITHIN, /* instant, to units up to the hour: the offset stays; falls where it changes */
    STEP_ROUND,        /* to the typmod's digits */
};

struct step {
    enum step_kind kind;
    int64_t amount; /* months, microseconds, typmod */
    enum time_unit unit;
    const char *zone_name;
    enum zone_lookup lookup;
    struct zone *zone; /* of the thread that bound it */
    int64_t offset_max;
};

struct clock_function {
    struct step *steps;
    uint32_t count, cap;
    int64_t low, high; /* clock + low <= function(clock) <= clock + high */
};

/* ---- evaluation ---- */

static bool step_run(const struct step *step, int64_t x, int64_t *out, struct error *err)
{
    switch (step->kind) {
    case STEP_TO_LOCAL:
        return zone_to_local(step->zone, x, out, err);
    case STEP_FROM_LOCAL:
        return zone_from_local(step->zone, x, out, err);
    case STEP_MONTHS:
        return timestamp_plus_interval(x, &(struct interval){.months = (int32_t)step->amount}, out, err);
    case STEP_ADD:
        return timestamp_plus_interval(x, &(struct interval){.us = step->amount}, out, err);
    case STEP_TRUNC:
        return timestamp_trunc_unit(step->unit, x, out, err);
    case STEP_TRUNC_WITHIN:
        return instant_trunc(step->zone, step->unit, x, out, err);
    case STEP_ROUND:
        return timestamp_round(x, (int32_t)step->amount, out, err);
    }
    return false;
}

/* The first `count` steps; what leaves the range is infinite. smooth: without roundings. */
static int64_t run(const struct clock_function *function, uint32_t count, int64_t clock, bool smooth)
{
    int64_t x = clock;
    for (uint32_t i = 0; i < count; i++) {
        const struct step *step = &function->steps[i];
        struct error err;
        if (smooth && step->kind >= STEP_TRUNC)
            continue;
        if (!step_run(step, x, &x, &err))
            return clock < 0 ? INT64_MIN : INT64_MAX;
    }
    return x;
}

int64_t clock_function_at(const struct clock_function *function, int64_t clock)
{
    return run(function, function->count, clock, false);
}

static bool compares(int64_t value, enum time_comparison comparison, int64_t now)
{
    switch (comparison) {
    case TIME_GREATER:
        return value > now;
    case TIME_GREATER_EQUAL:
        return value >= now;
    case TIME_LESS:
        return value < now;
    case TIME_LESS_EQUAL:
        return value <= now;
    case TIME_EQUAL:
        return value == now;
    }
    return false;
}

bool clock_function_holds(const struct clock_function *function, int64_t value,
                          enum time_comparison comparison, int64_t clock)
{
    return compares(value, comparison, clock_function_at(function, clock));
}

/* ---- where it falls ---- */

static bool step_can_fall(const struct step *step)
{
    return step->kind <= STEP_MONTHS || step->kind == STEP_TRUNC_WITHIN;
}

/* The next 29th, 30th or 31st: days that another month may not have, so that they become its last one like the day
 * before. */
static int64_t next_end_of_month(int64_t local)
{
    int64_t days, us;
    timestamp_split(local, &days, &us);
    int32_t year, month, day;
    civil_from_days((int32_t)++days, &year, &month, &day);
    if (day >= 29)
        return days;
    return days_from_civil(year, days_of_month(year, month) >= 29 ? month : month + 1, 29);
}

/* The first input after x at which the step may fall. */
static int64_t step_fall(const struct step *step, int64_t x)
{
    if (step->kind == STEP_MONTHS)
        return next_end_of_month(x) * US_PER_DAY;
    if (step->kind != STEP_FROM_LOCAL)
        return zone_offset_until(step->zone, x);
    int64_t found = TIME_NEVER, change = x - step->offset_max - US_PER_DAY;
    while (found == TIME_NEVER || change - step->offset_max <= found) {
        int64_t before = zone_offset_at(step->zone, change) * US_PER_SECOND;
        change = zone_offset_until(step->zone, change);
        if (change >= CLOCK_MAX)
            break;
        int64_t ends[2] = {change + before, change + zone_offset_at(step->zone, change) * US_PER_SECOND};
        for (uint32_t i = 0; i < 2; i++)
            if (ends[i] > x && ends[i] < found)
                found = ends[i];
    }
    return found;
}

/* The first instant in [from, to] at which the first `count` steps, which rise there, reach the goal, that they have
 * not reached at `from`. */
static int64_t first_reaching(const struct clock_function *function, uint32_t count, int64_t from, int64_t to,
                              int64_t goal)
{
    if (run(function, count, to, false) < goal)
        return TIME_NEVER;
    int64_t guess, smooth = run(function, count, from, true);
    if (__builtin_sub_overflow(goal, smooth, &guess) || __builtin_add_overflow(guess, from, &guess) ||
        guess > to)
        guess = to;
    if (guess > from) {
        if (run(function, count, guess, false) < goal)
            from = guess;
        else if (run(function, count, guess - 1, false) < goal)
            return guess;
        else
            to = guess - 1;
    }
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        if (run(function, count, middle, false) < goal)
            from = middle;
        else
            to = middle;
    }
    return to;
}

/* The first instant in (clock, limit] at which the function may fall. Step by step: what the steps before it make
 * rises up to the place found so far. */
static int64_t next_fall(const struct clock_function *function, int64_t clock, int64_t limit)
{
    int64_t found = TIME_NEVER;
    for (uint32_t i = 0; i < function->count; i++) {
        if (!step_can_fall(&function->steps[i]))
            continue;
        int64_t place = step_fall(&function->steps[i], run(function, i, clock, false));
        if (place == TIME_NEVER)
            continue;
        int64_t reached = first_reaching(function, i, clock, found == TIME_NEVER ? limit : found - 1, place);
        if (reached != TIME_NEVER)
            found = reached;
    }
    return found;
}

/* ---- when a comparison turns ---- */

static int64_t minus_within(int64_t a, int64_t b)
{
    int64_t result;
    if (__builtin_sub_overflow(a, b, &result))
        result = b > 0 ? CLOCK_MIN : CLOCK_MAX;
    return result < CLOCK_MIN ? CLOCK_MIN : result > CLOCK_MAX ? CLOCK_MAX : result;
}

/* What the function must reach for the comparison to turn as it rises: equality turns twice. */
static uint32_t goals_of(enum time_comparison comparison, int64_t value, int64_t goals[2])
{
    bool at_value = comparison == TIME_GREATER || comparison == TIME_LESS_EQUAL || comparison == TIME_EQUAL;
    uint32_t count = 0;
    if (at_value)
        goals[count++] = value;
    if (!at_value || comparison == TIME_EQUAL)
        goals[count++] = value + 1;
    return count;
}

int64_t clock_function_change(const struct clock_function *function, int64_t value,
                              enum time_comparison comparison, int64_t clock)
{
    if (timestamp_infinite(value))
        return TIME_NEVER;
    /* before `from` the function is less than the value, from `limit` on it is greater */
    int64_t from = minus_within(minus_within(value, function->high), 1);
    int64_t limit = minus_within(minus_within(value, function->low), -1);
    if (from < clock)
        from = clock;
    int64_t goals[2];
    uint32_t goals_count = goals_of(comparison, value, goals);
    while (from < limit) {
        int64_t start = clock_function_at(function, from);
        bool holds = compares(value, comparison, start);
        int64_t fall = next_fall(function, from, limit), end = fall == TIME_NEVER ? limit : fall - 1;
        for (uint32_t i = 0; i < goals_count; i++) {
            int64_t turn = start < goals[i] ? first_reaching(function, function->count, from, end, goals[i])
                                            : TIME_NEVER;
            if (turn != TIME_NEVER && clock_function_holds(function, value, comparison, turn) != holds)
                return turn;
        }
        if (fall == TIME_NEVER)
            return TIME_NEVER;
        if (clock_function_holds(function, value, comparison, fall) != holds)
            return fall;
        from = fall;
    }
    return TIME_NEVER;
}

/* ---- from an expression ---- */

static bool is_within(int64_t value, int64_t most)
{
    return value >= -most && value <= most;
}

struct maker {
    struct arena *arena;
    const char *zone;
    struct clock_function *function;
};

static bool add_step(struct maker *m, struct step step)
{
    struct clock_function *f = m->function;
    if (step.kind == STEP_ADD && step.amount == 0)
        return true;
    if (step.zone_name != NULL) {
        struct zone *zone = zone_find(step.zone_name, strlen(step.zone_name), step.lookup);
        if (zone == NULL)
            return false;
        int64_t offset = zone_offset_at(zone, 0) * US_PER_SECOND;
        step.offset_max = is_within(offset, ZONE_OFFSET_US) ? ZONE_OFFSET_US : HAND_OFFSET_US;
        if (zone_is_fixed(zone) && step.kind != STEP_TRUNC_WITHIN)
            step = (struct step){.kind = STEP_ADD, .amount = step.kind == STEP_TO_LOCAL ? offset : -offset};
    }
    ARENA_PUSH(m->arena, f->steps, f->count, f->cap, step);
    return true;
}

static struct step zone_step(const struct maker *m, enum step_kind kind)
{
    return (struct step){.kind = kind, .zone_name = m->zone, .lookup = ZONE_NAME_FIRST};
}

static const struct expr *constant_of(const struct expr *expr, uint32_t type)
{
    bool is = expr->kind == EXPR_CONSTANT && expr->type.oid == type && !expr->value.is_null;
    return is ? expr : NULL;
}

static const char *constant_text(const struct maker *m, const struct expr *expr)
{
    const struct expr *text = constant_of(expr, OID_TEXT);
    return text != NULL
               ? arena_strndup(m->arena, (const char *)varlen_bytes(&text->value.var), text->value.var.len)
               : NULL;
}

static bool add_interval(struct maker *m, const struct interval *interval, int sign, bool of_instant)
{
    if (!is_within(interval->us, REACH_MAX) || !is_within(interval->days, DAYS_MAX) ||
        !is_within(interval->months, MONTHS_MAX))
        return false;
    int64_t months = (int64_t)sign * interval->months, days = (int64_t)sign * interval->days * US_PER_DAY;
    struct step parts[2] = {{.kind = STEP_MONTHS, .amount = months}, {.kind = STEP_ADD, .amount = days}};
    for (uint32_t i = 0; i < 2; i++) {
        if (parts[i].amount == 0)
            continue;
        if (of_instant && !add_step(m, zone_step(m, STEP_TO_LOCAL)))
            return false;
        if (!add_step(m, parts[i]) || (of_instant && !add_step(m, zone_step(m, STEP_FROM_LOCAL))))
            return false;
    }
    return add_step(m, (struct step){.kind = STEP_ADD, .amount = sign * interval->us});
}

static bool make(struct maker *m, const struct expr *expr);

/* clock + interval, interval + clock, clock - interval; dates and days. */
static bool make_sum(struct maker *m, const struct expr *expr, int sign)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct expr *clock = expr->args[i], *other = expr->args[1 - i];
        if (i == 1 && sign < 0)
            break;
        const struct expr *interval = constant_of(other, OID_INTERVAL), *days = constant_of(other, OID_INT4);
        if (days != NULL && clock->type.oid == OID_DATE)
            return is_within(days->value.i32, DAYS_MAX) && make(m, clock) &&
                   add_step(m,
                            (struct step){.kind = STEP_ADD, .amount = sign * days->value.i32 * US_PER_DAY});
        if (interval != NULL)
            return make(m, clock) &&
                   add_interval(m, &interval->value.interval, sign, clock->type.oid == OID_TIMESTAMPTZ);
    }
    return false;
}

static bool make_trunc(struct maker *m, const struct expr *expr)
{
    const struct expr *clock = expr->args[1];
    const char *name = constant_text(m, expr->args[0]);
    const char *zone = expr->args_count == 3 ? constant_text(m, expr->args[2]) : NULL;
    struct step step = {.kind = STEP_TRUNC}, to = zone_step(m, STEP_TO_LOCAL),
                from = zone_step(m, STEP_FROM_LOCAL);
    struct error err;
    if (name == NULL || (expr->args_count == 3 && zone == NULL) ||
        !time_unit_for(name, strlen(name), UNITS_TRUNC, "timestamp", &step.unit, &err) || !make(m, clock))
        return false;
    if (clock->type.oid == OID_TIMESTAMP)
        return add_step(m, step);
    if (clock->type.oid != OID_TIMESTAMPTZ)
        return false;
    if (zone != NULL) {
        to.zone_name = from.zone_name = zone;
        to.lookup = from.lookup = ZONE_ABBREVIATION_FIRST;
    }
    if (step.unit <= UNIT_HOUR) {
        to.kind = STEP_TRUNC_WITHIN;
        to.unit = step.unit;
        return add_step(m, to);
    }
    return add_step(m, to) && add_step(m, step) && add_step(m, from);
}

/* AT TIME ZONE 'name' */
static bool make_zone(struct maker *m, const struct expr *expr)
{
    const struct expr *clock = expr->args[1];
    const char *zone = constant_text(m, expr->args[0]);
    if (zone == NULL || !make(m, clock))
        return false;
    struct step step = {.kind = clock->type.oid == OID_TIMESTAMPTZ ? STEP_TO_LOCAL : STEP_FROM_LOCAL,
                        .zone_name = zone,
                        .lookup = ZONE_ABBREVIATION_FIRST};
    return add_step(m, step);
}

static bool make_cast(struct maker *m, const struct expr *clock, uint32_t to)
{
    uint32_t from = clock->type.oid;
    bool known = to == OID_DATE || to == OID_TIMESTAMP || to == OID_TIMESTAMPTZ;
    if (!known || !make(m, clock))
        return false;
    if (from == OID_TIMESTAMPTZ && to != OID_TIMESTAMPTZ && !add_step(m, zone_step(m, STEP_TO_LOCAL)))
        return false;
    if (from != OID_TIMESTAMPTZ && to == OID_TIMESTAMPTZ)
        return add_step(m, zone_step(m, STEP_FROM_LOCAL));
    return to != OID_DATE || from == OID_DATE ||
           add_step(m, (struct step){.kind = STEP_TRUNC, .unit = UNIT_DAY});
}

static bool make(struct maker *m, const struct expr *expr)
{
    uint32_t type = expr->type.oid;
    if (type != OID_DATE && type != OID_TIMESTAMP && type != OID_TIMESTAMPTZ)
        return false;
    switch (expr->kind) {
    case EXPR_COLUMN:
        return type == OID_TIMESTAMPTZ;
    case EXPR_CAST:
        return make_cast(m, expr->args[0], type);
    case EXPR_TYPMOD:
        return type != OID_DATE && make(m, expr->args[0]) &&
               add_step(m, (struct step){.kind = STEP_ROUND, .amount = expr->type.typmod});
    case EXPR_CALL:
        if (expr->args_count == 2 && strcmp(expr->function->name, "+") == 0)
            return make_sum(m, expr, 1);
        if (expr->args_count == 2 && strcmp(expr->function->name, "-") == 0)
            return make_sum(m, expr, -1);
        if (expr->args_count >= 2 && strcmp(expr->function->name, "date_trunc") == 0)
            return make_trunc(m, expr);
        if (expr->args_count == 2 && strcmp(expr->function->name, "timezone") == 0)
            return make_zone(m, expr);
        if (expr->args_count == 1 && strcmp(expr->function->name, "date") == 0)
            return make_cast(m, expr->args[0], OID_DATE);
        return false;
    default:
        return false;
    }
}

/* Adds how far a step may move its input at most; false when that is out of all proportion. */
static bool add_reach(struct clock_function *f, const struct step *step)
{
    static const int64_t days[] = {
        [UNIT_DAY] = 1,    [UNIT_WEEK] = 7,      [UNIT_MONTH] = 31,      [UNIT_QUARTER] = 92,
        [UNIT_YEAR] = 366, [UNIT_DECADE] = 3653, [UNIT_CENTURY] = 36525, [UNIT_MILLENNIUM] = 365250};
    int64_t middle = 0, below = 0, above = 0;
    switch (step->kind) {
    case STEP_TO_LOCAL:
    case STEP_FROM_LOCAL:
        below = above = step->offset_max;
        break;
    case STEP_MONTHS: /* months are unequal, and so are leap years */
        middle = step->amount * MEAN_MONTH_US;
        below = above = 8 * US_PER_DAY;
        break;
    case STEP_ADD:
        middle = step->amount;
        break;
    case STEP_TRUNC:
        below = step->unit < UNIT_DAY ? US_PER_DAY : days[step->unit] * US_PER_DAY;
        break;
    case STEP_TRUNC_WITHIN:
        below = 3600 * US_PER_SECOND;
        break;
    case STEP_ROUND:
        below = above = US_PER_SECOND;
        break;
    }
    f->low += middle - below;
    f->high += middle + above;
    return is_within(f->low, REACH_MAX) && is_within(f->high, REACH_MAX);
}

struct clock_function *clock_function_create(struct arena *arena, const struct expr *expr, const char *zone)
{
    struct maker m = {arena, zone != NULL ? zone : "UTC", ARENA_NEW(arena, struct clock_function)};
    if (!make(&m, expr))
        return NULL;
    clock_function_bind(m.function);
    for (uint32_t i = 0; i < m.function->count; i++)
        if (!add_reach(m.function, &m.function->steps[i]))
            return NULL;
    /* does it stay in the range of its type in the centuries that matter? */
    int64_t later = INT64_C(1) << 53;
    bool fits = !timestamp_infinite(clock_function_at(m.function, 0)) &&
                !timestamp_infinite(clock_function_at(m.function, later));
    return fits ? m.function : NULL;
}

void clock_function_bind(struct clock_function *function)
{
    for (uint32_t i = 0; i < function->count; i++) {
        struct step *step = &function->steps[i];
        if (step->zone_name == NULL)
            continue;
        step->zone = zone_find(step->zone_name, strlen(step->zone_name), step->lookup);
        if (step->zone == NULL)
            step->zone = zone_find("UTC", 3, ZONE_NAME_FIRST);
    }
}
