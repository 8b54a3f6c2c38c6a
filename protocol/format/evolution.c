/* evolution.c: see evolution.h. */
#include "protocol/format/evolution.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool evolution_open(const struct format_class *class, const struct format_spec *spec, struct evolution *out,
                    struct error *err)
{
    const char *id = format_option(class, spec, "schema_id");
    *out = (struct evolution){.known_id = REGISTRY_NO_ID};
    static const char *const policies[] = {[EVOLUTION_IGNORE] = "ignore",
                                           [EVOLUTION_STOP] = "stop",
                                           [EVOLUTION_ADD] = "add",
                                           [EVOLUTION_WIDEN] = "widen",
                                           NULL};
    uint32_t word;
    if (!format_option_word(class, spec, "schema_change", policies, &word, err))
        return false;
    out->policy = (enum evolution_policy)word;
    if (id[0] == '\0')
        return true;
    char *end;
    unsigned long long number = strtoull(id, &end, 10);
    if (*end != '\0' || id[0] < '0' || id[0] > '9' || number >= REGISTRY_NO_ID)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"schema_id\" must be the number of a schema, not \"%s\"", id);
    out->known_id = (uint32_t)number;
    return true;
}

bool evolution_schema(const struct format_class *class, const struct format_spec *spec,
                      struct registry *registry, bool is_key, const char *message, struct arena *arena,
                      const struct registry_schema **out, struct error *err)
{
    struct evolution evolution;
    const char *subject;
    if (!evolution_open(class, spec, &evolution, err))
        return false;
    if (!is_key && evolution.known_id != REGISTRY_NO_ID)
        return registry_by_id(registry, evolution.known_id, out, err);
    return registry_subject(class, spec, is_key, message, arena, &subject, err) &&
           registry_latest(registry, subject, out, NULL, NULL, err);
}

bool evolution_wants_known(const struct evolution *evolution)
{
    return evolution->policy != EVOLUTION_IGNORE && evolution->known_id != REGISTRY_NO_ID &&
           evolution->known == NULL;
}

static bool is_known_field(const struct evolution_view *known, const char *field)
{
    for (uint32_t i = 0; known != NULL && i < known->unread_count; i++) {
        if (strcmp(known->unread[i], field) == 0)
            return true;
    }
    return false;
}

static void stop(struct error *problem, uint32_t id, const char *format, const char *name)
{
    char what[ERROR_TEXT_MAX / 2];
    if (problem->code != ERRCODE_NONE)
        return;
    snprintf(what, sizeof(what), format, name);
    error_set(problem, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the schema of records has changed: %s",
              what);
    error_detail(problem, "Schema %u is not the one the columns were made for.", id);
    error_hint(problem,
               "Set option schema_id to %u once the columns are right for it, or schema_change to "
               "ignore.",
               id);
}

static int whole_digits(uint32_t oid)
{
    return oid == OID_INT2 ? 5 : oid == OID_INT4 ? 10 : oid == OID_INT8 ? 19 : 0;
}

/* Does a numeric hold so many digits before and behind the point? */
static bool numeric_holds(struct sql_type numeric, int32_t before, int32_t behind)
{
    int32_t precision = (numeric.typmod - 4) >> 16, scale = (numeric.typmod - 4) & 0xffff;
    return numeric.typmod == -1 || (scale >= behind && precision - scale >= before);
}

/* Does the second type hold all values of the first, each as itself? */
static bool is_wider(struct sql_type from, struct sql_type to)
{
    int digits = whole_digits(from.oid);
    if (digits > 0 && whole_digits(to.oid) > digits)
        return true;
    if (to.oid == OID_NUMERIC && digits > 0)
        return numeric_holds(to, digits, 0);
    if (to.oid == OID_NUMERIC && from.oid == OID_NUMERIC && from.typmod != -1)
        return to.typmod != from.typmod &&
               numeric_holds(to, ((from.typmod - 4) >> 16) - ((from.typmod - 4) & 0xffff),
                             (from.typmod - 4) & 0xffff);
    if (to.oid == OID_FLOAT8)
        return from.oid == OID_INT2 || from.oid == OID_INT4 || from.oid == OID_FLOAT4;
    if (to.oid == OID_FLOAT4)
        return from.oid == OID_INT2;
    return to.oid == OID_TEXT && from.oid == OID_VARCHAR;
}

/* What the policy lets be changed. */
static void note_change(const struct evolution *evolution, struct arena *arena, struct format_change change,
                        struct evolution_changes *changes, bool *all)
{
    uint32_t cap = changes->count;
    bool may = change.is_new ? evolution->policy >= EVOLUTION_ADD : evolution->policy == EVOLUTION_WIDEN;
    if (may)
        ARENA_PUSH(arena, changes->items, changes->count, cap, change);
    *all = *all && may;
}

/* The first problem is the one that is told. */
static void find_problems(const struct evolution *evolution, uint32_t id, const struct evolution_view *view,
                          struct arena *arena, struct error *problem, struct evolution_changes *changes,
                          bool *all)
{
    const struct evolution_view *known = evolution->known;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct evolution_column *now = &view->columns[i];
        bool was_found = known == NULL || known->columns[i].is_found;
        enum convert_fit was_fit = known == NULL ? CONVERT_EXACT : known->columns[i].fit;
        if (!now->is_found && was_found && evolution->policy == EVOLUTION_STOP) {
            stop(problem, id, "it has no field for column \"%s\"", now->column->name);
            *all = false;
        }
        if (now->is_found && (now->fit == CONVERT_NEVER || (was_found && now->fit < was_fit))) {
            struct format_change change = {.column = *now->column};
            change.column.type = now->natural;
            stop(problem, id, "column \"%s\" does not hold all values of its field", now->column->name);
            if (is_wider(now->column->type, now->natural))
                note_change(evolution, arena, change, changes, all);
            else
                *all = false;
        }
    }
    for (uint32_t i = 0; i < view->unread_count; i++) {
        if (!is_known_field(known, view->unread[i])) {
            struct format_change change = {
                .is_new = true, .column = {.name = view->unread[i], .type = view->unread_types[i]}};
            stop(problem, id, "there is no column for field \"%s\"", view->unread[i]);
            note_change(evolution, arena, change, changes, all);
        }
    }
}

void evolution_check(const struct evolution *evolution, uint32_t id, const struct evolution_view *view,
                     struct arena *arena, struct error *problem, struct evolution_changes *changes)
{
    bool all = true;
    *changes = (struct evolution_changes){0};
    if (evolution->policy == EVOLUTION_IGNORE || id == REGISTRY_NO_ID || id == evolution->known_id)
        return;
    find_problems(evolution, id, view, arena, problem, changes, &all);
    if (!all)
        changes->count = 0;
}
