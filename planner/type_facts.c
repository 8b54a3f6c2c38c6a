/* type_facts.c: see type_facts.h. The numbers are PostgreSQL's. */
#include "planner/type_facts.h"

#include "storage/base/check.h"
#include "storage/data/type.h"

#include <stdio.h>

static const struct type_facts facts[] = {
    {16, 'c', 'p', true, 0, "bool", {1242, 1243, 2436, 2437, 0, 0}},
    {17, 'i', 'x', false, 0, "bytea", {1244, 31, 2412, 2413, 0, 0}},
    {18, 'c', 'p', true, 0, "char", {1245, 33, 2434, 2435, 0, 0}},
    {19, 'c', 'p', false, 950, "name", {34, 35, 2422, 2423, 0, 0}},
    {20, 'd', 'p', true, 0, "int8", {460, 461, 2408, 2409, 0, 0}},
    {21, 's', 'p', true, 0, "int2", {38, 39, 2404, 2405, 0, 0}},
    {22, 'i', 'p', false, 0, "int2vector", {40, 41, 2410, 2411, 0, 0}},
    {23, 'i', 'p', true, 0, "int4", {42, 43, 2406, 2407, 0, 0}},
    {24, 'i', 'p', true, 0, "regproc", {44, 45, 2444, 2445, 0, 0}},
    {25, 'i', 'x', false, 100, "text", {46, 47, 2414, 2415, 0, 0}},
    {26, 'i', 'p', true, 0, "oid", {1798, 1799, 2418, 2419, 0, 0}},
    {28, 'i', 'p', true, 0, "xid", {50, 51, 2440, 2441, 0, 0}},
    {30, 'i', 'p', false, 0, "oidvector", {54, 55, 2420, 2421, 0, 0}},
    {114, 'i', 'x', false, 0, "json_", {321, 322, 323, 324, 0, 0}},
    {700, 'i', 'p', true, 0, "float4", {200, 201, 2424, 2425, 0, 0}},
    {701, 'd', 'p', true, 0, "float8", {214, 215, 2426, 2427, 0, 0}},
    {705, 'c', 'p', false, 0, "unknown", {109, 110, 2416, 2417, 0, 0}},
    {1042, 'i', 'x', false, 100, "bpchar", {1044, 1045, 2430, 2431, 2913, 2914}},
    {1043, 'i', 'x', false, 100, "varchar", {1046, 1047, 2432, 2433, 2915, 2916}},
    {1082, 'i', 'p', true, 0, "date_", {1084, 1085, 2468, 2469, 0, 0}},
    {1083, 'd', 'p', true, 0, "time_", {1143, 1144, 2470, 2471, 2909, 2910}},
    {1114, 'd', 'p', true, 0, "timestamp_", {1312, 1313, 2474, 2475, 2905, 2906}},
    {1184, 'd', 'p', true, 0, "timestamptz_", {1150, 1151, 2476, 2477, 2907, 2908}},
    {1186, 'd', 'p', false, 0, "interval_", {1160, 1161, 2478, 2479, 2903, 2904}},
    {1700, 'i', 'm', false, 0, "numeric_", {1701, 1702, 2460, 2461, 2917, 2918}},
    {2202, 'i', 'p', true, 0, "regprocedure", {2212, 2213, 2446, 2447, 0, 0}},
    {2203, 'i', 'p', true, 0, "regoper", {2214, 2215, 2448, 2449, 0, 0}},
    {2204, 'i', 'p', true, 0, "regoperator", {2216, 2217, 2450, 2451, 0, 0}},
    {2205, 'i', 'p', true, 0, "regclass", {2218, 2219, 2452, 2453, 0, 0}},
    {2206, 'i', 'p', true, 0, "regtype", {2220, 2221, 2454, 2455, 0, 0}},
    {2249, 'd', 'x', false, 0, "record_", {2290, 2291, 2402, 2403, 0, 0}},
    {2275, 'c', 'p', false, 0, "cstring_", {2292, 2293, 2500, 2501, 0, 0}},
    {2276, 'i', 'p', true, 0, "any_", {2294, 2295, 0, 0, 0, 0}},
    {2277, 'd', 'x', false, 0, "anyarray_", {2296, 2297, 2502, 2503, 0, 0}},
    {2278, 'i', 'p', true, 0, "void_", {2298, 2299, 3120, 3121, 0, 0}},
    {2283, 'i', 'p', true, 0, "anyelement_", {2312, 2313, 0, 0, 0, 0}},
    {2776, 'i', 'p', true, 0, "anynonarray_", {2777, 2778, 0, 0, 0, 0}},
    {2950, 'c', 'p', false, 0, "uuid_", {2952, 2953, 2961, 2962, 0, 0}},
    {3802, 'i', 'x', false, 0, "jsonb_", {3806, 3804, 3805, 3803, 0, 0}},
    {4089, 'i', 'p', true, 0, "regnamespace", {4084, 4085, 4087, 4088, 0, 0}},
    {4096, 'i', 'p', true, 0, "regrole", {4098, 4092, 4094, 4095, 0, 0}},
    {5077, 'i', 'p', true, 0, "anycompatible_", {5086, 5087, 0, 0, 0, 0}},
    {5078, 'd', 'x', false, 0, "anycompatiblearray_", {5088, 5089, 5090, 5091, 0, 0}},
};

#define ANY_ARRAY ((size_t)ARRAY_COUNT(facts)) /* stands behind the table */
static const struct type_facts array_facts = {
    OID_ANYARRAY, 'i', 'x', false, 0, "array_", {750, 751, 2400, 2401, 0, 0}};

static const struct type_facts *find(uint32_t oid)
{
    for (size_t i = 0; i < ARRAY_COUNT(facts); i++)
        if (facts[i].oid == oid)
            return &facts[i];
    return NULL;
}

bool type_facts_find(uint32_t type_oid, struct type_facts *out)
{
    const struct type_row *type = type_find(type_oid);
    const struct type_facts *own = find(type_oid);
    if (own != NULL) {
        *out = *own;
        return true;
    }
    const struct type_facts *element =
        type != NULL && type->element_oid != 0 ? find(type->element_oid) : NULL;
    if (element == NULL)
        return false;
    *out = array_facts;
    out->oid = type_oid;
    out->align = element->align == 'd' ? 'd' : 'i';
    out->collation = element->collation;
    out->io[TYPE_IO_MODIN] = element->io[TYPE_IO_MODIN];
    out->io[TYPE_IO_MODOUT] = element->io[TYPE_IO_MODOUT];
    return true;
}

uint32_t type_facts_function(size_t index, enum type_io io, char out[TYPE_IO_NAME_MAX], uint32_t *type_oid,
                             bool *end)
{
    static const char *const suffixes[] = {"in", "out", "recv", "send", "typmodin", "typmodout"};
    *end = index > ANY_ARRAY;
    if (*end)
        return 0;
    const struct type_facts *row = index == ANY_ARRAY ? &array_facts : &facts[index];
    int prefix_len = (int)strlen(row->prefix);
    if (io >= TYPE_IO_MODIN && prefix_len > 0 && row->prefix[prefix_len - 1] == '_')
        prefix_len--;
    snprintf(out, TYPE_IO_NAME_MAX, "%.*s%s", prefix_len, row->prefix, suffixes[io]);
    *type_oid = row->oid;
    return row->io[io];
}
