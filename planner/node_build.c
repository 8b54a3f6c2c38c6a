/* node_build.c: see node_build.h. */
#include "planner/node_build.h"

#include "storage/data/type.h"

static PgQuery__Node *new_node(struct arena *arena, PgQuery__Node__NodeCase node_case)
{
    PgQuery__Node *node = ARENA_NEW(arena, PgQuery__Node);
    pg_query__node__init(node);
    node->node_case = node_case;
    return node;
}

PgQuery__Node *node_new_string(struct arena *arena, const char *text)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_STRING);
    node->string = ARENA_NEW(arena, PgQuery__String);
    pg_query__string__init(node->string);
    node->string->sval = arena_strdup(arena, text);
    return node;
}

PgQuery__Node *node_new_null(struct arena *arena)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_A_CONST);
    node->a_const = ARENA_NEW(arena, PgQuery__AConst);
    pg_query__a__const__init(node->a_const);
    node->a_const->isnull = 1;
    node->a_const->location = -1;
    return node;
}

PgQuery__Node *node_new_column(struct arena *arena, const char *qualifier, const char *column)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_COLUMN_REF);
    PgQuery__ColumnRef *ref = node->column_ref = ARENA_NEW(arena, PgQuery__ColumnRef);
    pg_query__column_ref__init(ref);
    ref->location = -1;
    ref->n_fields = 2;
    ref->fields = ARENA_ARRAY(arena, PgQuery__Node *, 2);
    ref->fields[0] = node_new_string(arena, qualifier);
    if (column != NULL) {
        ref->fields[1] = node_new_string(arena, column);
    } else {
        ref->fields[1] = new_node(arena, PG_QUERY__NODE__NODE_A_STAR);
        ref->fields[1]->a_star = ARENA_NEW(arena, PgQuery__AStar);
        pg_query__a__star__init(ref->fields[1]->a_star);
    }
    return node;
}

PgQuery__Node *node_new_target(struct arena *arena, PgQuery__Node *value)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_RES_TARGET);
    node->res_target = ARENA_NEW(arena, PgQuery__ResTarget);
    pg_query__res_target__init(node->res_target);
    node->res_target->val = value;
    node->res_target->location = -1;
    return node;
}

PgQuery__Node *node_new_cast(struct arena *arena, PgQuery__Node *value, uint32_t type_oid)
{
    const struct type_row *type = type_find(type_oid);
    const struct type_row *element =
        type->element_oid != 0 && type->category == 'A' ? type_find(type->element_oid) : NULL;
    PgQuery__TypeName *name = ARENA_NEW(arena, PgQuery__TypeName);
    pg_query__type_name__init(name);
    name->location = -1;
    name->typemod = -1;
    name->n_names = 2;
    name->names = ARENA_ARRAY(arena, PgQuery__Node *, 2);
    name->names[0] = node_new_string(arena, "pg_catalog");
    name->names[1] = node_new_string(arena, element != NULL ? element->name : type->name);
    if (element != NULL) {
        name->n_array_bounds = 1;
        name->array_bounds = ARENA_ARRAY(arena, PgQuery__Node *, 1);
        name->array_bounds[0] = new_node(arena, PG_QUERY__NODE__NODE_INTEGER);
        name->array_bounds[0]->integer = ARENA_NEW(arena, PgQuery__Integer);
        pg_query__integer__init(name->array_bounds[0]->integer);
        name->array_bounds[0]->integer->ival = -1;
    }
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_TYPE_CAST);
    node->type_cast = ARENA_NEW(arena, PgQuery__TypeCast);
    pg_query__type_cast__init(node->type_cast);
    node->type_cast->arg = value;
    node->type_cast->type_name = name;
    node->type_cast->location = -1;
    return node;
}

PgQuery__Node *node_new_range(struct arena *arena, const PgQuery__RangeVar *range)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_RANGE_VAR);
    node->range_var = (PgQuery__RangeVar *)range;
    return node;
}

PgQuery__SelectStmt *node_new_select(struct arena *arena)
{
    PgQuery__SelectStmt *select = ARENA_NEW(arena, PgQuery__SelectStmt);
    pg_query__select_stmt__init(select);
    select->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    select->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    return select;
}

PgQuery__Node *node_of_select(struct arena *arena, PgQuery__SelectStmt *select)
{
    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_SELECT_STMT);
    node->select_stmt = select;
    return node;
}

PgQuery__Node *node_new_subquery_column(struct arena *arena, const PgQuery__SubLink *link, uint32_t column,
                                        uint32_t columns_count)
{
    PgQuery__Alias *alias = ARENA_NEW(arena, PgQuery__Alias);
    pg_query__alias__init(alias);
    alias->aliasname = "*assigned*";
    alias->n_colnames = columns_count;
    alias->colnames = ARENA_ARRAY(arena, PgQuery__Node *, columns_count);
    for (uint32_t i = 0; i < columns_count; i++)
        alias->colnames[i] = node_new_string(arena, arena_printf(arena, "c%u", i));
    PgQuery__Node *from = new_node(arena, PG_QUERY__NODE__NODE_RANGE_SUBSELECT);
    from->range_subselect = ARENA_NEW(arena, PgQuery__RangeSubselect);
    pg_query__range_subselect__init(from->range_subselect);
    from->range_subselect->subquery = link->subselect;
    from->range_subselect->alias = alias;

    PgQuery__SelectStmt *select = node_new_select(arena);
    select->n_target_list = 1;
    select->target_list = ARENA_ARRAY(arena, PgQuery__Node *, 1);
    select->target_list[0] =
        node_new_target(arena, node_new_column(arena, alias->aliasname, arena_printf(arena, "c%u", column)));
    select->n_from_clause = 1;
    select->from_clause = ARENA_ARRAY(arena, PgQuery__Node *, 1);
    select->from_clause[0] = from;

    PgQuery__Node *node = new_node(arena, PG_QUERY__NODE__NODE_SUB_LINK);
    node->sub_link = ARENA_NEW(arena, PgQuery__SubLink);
    *node->sub_link = *link;
    node->sub_link->subselect = node_of_select(arena, select);
    return node;
}

/* Calls itself for the message in one slot of a field. */
static bool slot_has_subquery(const ProtobufCFieldDescriptor *field, const void *slot)
{
    (void)field;
    const ProtobufCMessage *child = *(const ProtobufCMessage *const *)slot;
    return child != NULL && node_has_subquery(child);
}

bool node_has_subquery(const ProtobufCMessage *message)
{
    if (message->descriptor == &pg_query__sub_link__descriptor)
        return true;
    const uint8_t *bytes = (const uint8_t *)message;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)(bytes + field->quantifier_offset);
            void *const *items = *(void *const *const *)(bytes + field->offset);
            for (size_t j = 0; j < count; j++)
                if (slot_has_subquery(field, &items[j]))
                    return true;
        } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            /* the members of a oneof share their place */
            if (*(const uint32_t *)(bytes + field->quantifier_offset) == field->id &&
                slot_has_subquery(field, bytes + field->offset))
                return true;
        } else if (slot_has_subquery(field, bytes + field->offset)) {
            return true;
        }
    }
    return false;
}
