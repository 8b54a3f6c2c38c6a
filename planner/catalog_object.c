/* catalog_object.c: the life of one object: an arena, a count of references, the relation it stands for. */
#include "planner/catalog.h"

#include <stddef.h>
#include <string.h>

struct catalog_object *catalog_object_create(void)
{
    struct catalog_object *object = mem_zalloc(sizeof(*object));
    arena_init(&object->arena, NULL);
    object->references = 1;
    object->index_number = -1;
    return object;
}

void catalog_object_retain(struct catalog_object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

void catalog_object_release(struct catalog_object *object)
{
    if (object == NULL || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    if (object->relation != NULL)
        relation_release(object->relation);
    arena_release(&object->arena);
    mem_free(object);
}

static const char *copy_text(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

struct catalog_object *catalog_object_clone(const struct catalog_object *from)
{
    struct catalog_object *object = catalog_object_create();
    memcpy(object, from, offsetof(struct catalog_object, arena)); /* others count references meanwhile */
    struct arena *to = &object->arena;
    object->name = copy_text(to, from->name);
    object->columns = ARENA_ARRAY(to, struct catalog_column, from->columns_count);
    for (uint32_t i = 0; i < from->columns_count; i++) {
        struct catalog_column *column = &object->columns[i];
        *column = from->columns[i];
        column->name = copy_text(to, column->name);
        column->default_sql = copy_text(to, column->default_sql);
        column->generated_sql = copy_text(to, column->generated_sql);
        column->metadata = copy_text(to, column->metadata);
        column->path = copy_text(to, column->path);
        column->missing = copy_text(to, column->missing);
        column->comment = copy_text(to, column->comment);
    }
    object->constraints = ARENA_ARRAY(to, struct catalog_constraint, from->constraints_count);
    for (uint32_t i = 0; i < from->constraints_count; i++) {
        struct catalog_constraint *constraint = &object->constraints[i];
        *constraint = from->constraints[i];
        constraint->name = copy_text(to, constraint->name);
        constraint->check_sql = copy_text(to, constraint->check_sql);
        constraint->columns =
            arena_copy(to, constraint->columns, constraint->columns_count * sizeof(uint32_t));
    }
    object->options = ARENA_ARRAY(to, struct catalog_option, from->options_count);
    for (uint32_t i = 0; i < from->options_count; i++) {
        object->options[i].name = copy_text(to, from->options[i].name);
        object->options[i].value = copy_text(to, from->options[i].value);
        object->options[i].secret = copy_text(to, from->options[i].secret);
    }
    object->watermark_column = copy_text(to, from->watermark_column);
    object->watermark_sql = copy_text(to, from->watermark_sql);
    object->sql = copy_text(to, from->sql);
    object->query_sql = copy_text(to, from->query_sql);
    object->timezone = copy_text(to, from->timezone);
    object->search_path = copy_text(to, from->search_path);
    object->comment = copy_text(to, from->comment);
    object->depends = arena_copy(to, from->depends, from->depends_count * sizeof(uint32_t));
    object->index_columns = arena_copy(to, from->index_columns, from->index_columns_count * sizeof(uint32_t));
    if (object->relation != NULL)
        relation_retain(object->relation);
    return object;
}

uint32_t catalog_visible_columns(const struct catalog_object *object, uint32_t as_of_oid)
{
    uint32_t count = object->columns_count;
    while (as_of_oid != 0 && count > 0 && object->columns[count - 1].since > as_of_oid)
        count--;
    return count;
}

uint32_t catalog_defined_at(const struct catalog_object *object)
{
    return object->defined_oid != 0 ? object->defined_oid : object->oid;
}

bool catalog_object_is_part_of(const struct catalog_object *object, uint32_t owner_oid)
{
    return object->index_of == owner_oid && owner_oid != 0 &&
           (object->kind == CATALOG_INDEX || object->kind == CATALOG_SEQUENCE ||
            object->role != CATALOG_ROLE_NONE);
}

bool catalog_uses_secret(const struct catalog_object *object, const char *name)
{
    for (uint32_t i = 0; i < object->options_count; i++)
        if (object->options[i].secret != NULL && strcmp(object->options[i].secret, name) == 0)
            return true;
    return false;
}

bool catalog_object_keeps_rows(const struct catalog_object *object)
{
    for (uint32_t i = 0; i < object->options_count; i++) {
        const struct catalog_option *option = &object->options[i];
        if (strcmp(option->name, "retention_rows") == 0 ||
            (strcmp(option->name, "retention") == 0 && strcmp(option->value, "forever") != 0))
            return false;
    }
    return true;
}
