/* catalog_object.c: the life of one object: an arena, a count of references, the relation it stands for. */
#include "planner/catalog.h"

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
