/* evolution.c: see evolution.h. */
#include "protocol/format/evolution.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool evolution_open(const struct format_class *class, const struct format_spec *spec, struct evolution *out,
                    struct error *err)
{
    const char *policy = format_option(class, spec, "schema_change");
    const char *id = format_option(class, spec, "schema_id");
    *out = (struct evolution){.known_id = REGISTRY_NO_ID};
    if (strcmp(policy, "stop") == 0)
        out->policy = EVOLUTION_STOP;
    else if (strcmp(policy, "ignore") != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"schema_change\" must be ignore or stop, not \"%s\"", policy);
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

bool evolution_wants_known(const struct evolution *evolution)
{
    return evolution->policy == EVOLUTION_STOP && evolution->known_id != REGISTRY_NO_ID &&
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
    snprintf(what, sizeof(what), format, name);
    error_set(problem, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the schema of records has changed: %s",
              what);
    error_detail(problem, "Schema %u is not the one the columns were made for.", id);
    error_hint(problem,
               "Set option schema_id to %u once the columns are right for it, or schema_change to "
               "ignore.",
               id);
}

void evolution_check(const struct evolution *evolution, uint32_t id, const struct evolution_view *view,
                     struct error *problem)
{
    const struct evolution_view *known = evolution->known;
    if (evolution->policy != EVOLUTION_STOP || id == REGISTRY_NO_ID || id == evolution->known_id)
        return;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct evolution_column *now = &view->columns[i];
        bool was_found = known == NULL || known->columns[i].is_found;
        enum convert_fit was_fit = known == NULL ? CONVERT_EXACT : known->columns[i].fit;
        if (!now->is_found && was_found) {
            stop(problem, id, "it has no field for column \"%s\"", now->column->name);
            return;
        }
        if (now->is_found && (now->fit == CONVERT_NEVER || (was_found && now->fit < was_fit))) {
            stop(problem, id, "column \"%s\" does not hold all values of its field", now->column->name);
            return;
        }
    }
    for (uint32_t i = 0; i < view->unread_count; i++) {
        if (!is_known_field(known, view->unread[i])) {
            stop(problem, id, "there is no column for field \"%s\"", view->unread[i]);
            return;
        }
    }
}
