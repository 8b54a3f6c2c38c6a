/* test_fn_array.c: functions and operators over arrays; expected texts come from PostgreSQL 15. */
#include "tests/executor/fn_case.h"

static const struct fn_case joining_cases[] = {
    {"array_append", "anycompatiblearray,anycompatible: int4[],int4", {"{1,2}", "3"}, "{1,2,3}"},
    {"array_append", "anycompatiblearray,anycompatible: int4[],int4", {"[0:1]={1,2}", "3"}, "[0:2]={1,2,3}"},
    {"array_append", "anycompatiblearray,anycompatible: int4[],int4", {NULL, "3"}, "{3}"},
    {"array_append", "anycompatiblearray,anycompatible: int4[],int4", {"{1}", NULL}, "{1,NULL}"},
    {"array_append", "anycompatiblearray,anycompatible: int4[],int4", {"{}", "3"}, "{3}"},
    {"array_append",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"{{1}}", "3"},
     "ERROR: 22000: argument must be empty or one-dimensional array"},
    {"array_append",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"[2147483646:2147483646]={1}", "3"},
     "ERROR: 54000: array lower bound is too large: 2147483646"},
    {"array_append",
     "anycompatiblearray,anycompatible: text[],text",
     {"{a,\"b c\"}", "a longer text than twelve"},
     "{a,\"b c\",\"a longer text than twelve\"}"},
    {"array_append", "anycompatiblearray,anycompatible: numeric[],numeric", {"{1.50}", "2.0"}, "{1.50,2.0}"},
    {"array_append", "anycompatiblearray,anycompatible: int2[],int2", {"[0:1]={1,2}", "3"}, "[0:2]={1,2,3}"},
    {"array_prepend", "anycompatible,anycompatiblearray: int4,int4[]", {"0", "[0:1]={1,2}"}, "[0:2]={0,1,2}"},
    {"array_prepend", "anycompatible,anycompatiblearray: int4,int4[]", {"0", NULL}, "{0}"},
    {"array_prepend", "anycompatible,anycompatiblearray: int4,int4[]", {NULL, "{}"}, "{NULL}"},
    {"array_prepend",
     "anycompatible,anycompatiblearray: int4,int4[]",
     {"1", "{{1}}"},
     "ERROR: 22000: argument must be empty or one-dimensional array"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{1}", "{2}"}, "{1,2}"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{{1,2}}", "{3,4}"},
     "{{1,2},{3,4}}"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{3,4}", "{{1,2}}"},
     "{{3,4},{1,2}}"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{{1,2}}", "{{3,4}}"},
     "{{1,2},{3,4}}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {NULL, "{1}"}, "{1}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{1}", NULL}, "{1}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {NULL, NULL}, "NULL"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{}", "{}"}, "{}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{}", "{1}"}, "{1}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {NULL, "{}"}, "{}"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"[0:0]={1}", "[5:5]={2}"},
     "[0:1]={1,2}"},
    {"array_cat", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{1}", "{{1}}"}, "{{1},{1}}"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{{1,2}}", "{3}"},
     "ERROR: 2202E: cannot concatenate incompatible arrays"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{{1,2}}", "{{3}}"},
     "ERROR: 2202E: cannot concatenate incompatible arrays"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"{{{1,2}}}", "{3}"},
     "ERROR: 2202E: cannot concatenate incompatible arrays"},
    {"array_cat",
     "anycompatiblearray,anycompatiblearray: int4[],int4[]",
     {"[0:0]={1}", "{{1}}"},
     "ERROR: 2202E: cannot concatenate incompatible arrays"},
    {"||", "anycompatiblearray,anycompatiblearray: int4[],int4[]", {"{1,2}", "{3}"}, "{1,2,3}"},
    {"||", "anycompatiblearray,anycompatible: int4[],int4", {"{1}", "2"}, "{1,2}"},
    {"||", "anycompatible,anycompatiblearray: int4,int4[]", {"1", "{2}"}, "{1,2}"},
};

TEST(joining)
{
    FN_CASES_RUN(joining_cases);
}

static const struct fn_case sizes_cases[] = {
    {"array_length", "anyarray,int4: int4[],int4", {"{{1,2,3},{4,5,6}}", "2"}, "3"},
    {"array_length", "anyarray,int4: int4[],int4", {"{}", "1"}, "NULL"},
    {"array_length", "anyarray,int4: int4[],int4", {"{1}", "0"}, "NULL"},
    {"array_length", "anyarray,int4: int4[],int4", {"{1}", "2"}, "NULL"},
    {"array_length", "anyarray,int4: int4[],int4", {NULL, "1"}, "NULL"},
    {"array_length", "anyarray,int4: int2vector,int4", {"1 2", "1"}, "2"},
    {"array_upper", "anyarray,int4: int4[],int4", {"[3:5]={1,2,3}", "1"}, "5"},
    {"array_lower", "anyarray,int4: int4[],int4", {"[3:5]={1,2,3}", "1"}, "3"},
    {"array_lower", "anyarray,int4: int4[],int4", {"{}", "1"}, "NULL"},
    {"array_upper", "anyarray,int4: int2vector,int4", {"1 2", "1"}, "1"},
    {"array_lower", "anyarray,int4: oidvector,int4", {"1 2", "1"}, "0"},
    {"array_ndims", "anyarray: int4[]", {"{{1}}"}, "2"},
    {"array_ndims", "anyarray: int4[]", {"{}"}, "NULL"},
    {"array_dims", "anyarray: int4[]", {"[3:5]={1,2,3}"}, "[3:5]"},
    {"array_dims", "anyarray: int4[]", {"{{1,2}}"}, "[1:1][1:2]"},
    {"array_dims", "anyarray: int4[]", {"{}"}, "NULL"},
    {"cardinality", "anyarray: int4[]", {"{}"}, "0"},
    {"cardinality", "anyarray: int4[]", {"{{1,2},{3,4}}"}, "4"},
};

TEST(sizes)
{
    FN_CASES_RUN(sizes_cases);
}

static const struct fn_case searching_cases[] = {
    {"array_position", "anycompatiblearray,anycompatible: int4[],int4", {"{1,2,3,2}", "2"}, "2"},
    {"array_position",
     "anycompatiblearray,anycompatible,int4: int4[],int4,int4",
     {"{1,2,3,2}", "2", "3"},
     "4"},
    {"array_position", "anycompatiblearray,anycompatible: int4[],int4", {"{1,NULL}", NULL}, "2"},
    {"array_position", "anycompatiblearray,anycompatible: int4[],int4", {"[0:2]={1,2,3}", "1"}, "0"},
    {"array_position", "anycompatiblearray,anycompatible: int4[],int4", {"{1}", "5"}, "NULL"},
    {"array_position", "anycompatiblearray,anycompatible: int4[],int4", {NULL, "1"}, "NULL"},
    {"array_position",
     "anycompatiblearray,anycompatible,int4: int4[],int4,int4",
     {"{1,2,3,2}", "2", "-1"},
     "2"},
    {"array_position",
     "anycompatiblearray,anycompatible,int4: int4[],int4,int4",
     {"{1,2,3,2}", "2", "9"},
     "NULL"},
    {"array_position",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"{{1}}", "1"},
     "ERROR: 0A000: searching for elements in multidimensional arrays is not supported"},
    {"array_position",
     "anycompatiblearray,anycompatible,int4: int4[],int4,int4",
     {"{1}", "1", NULL},
     "ERROR: 22004: initial position must not be null"},
    {"array_position", "anycompatiblearray,anycompatible: text[],text", {"{a,b,c}", "b"}, "2"},
    {"array_position", "anycompatiblearray,anycompatible: numeric[],numeric", {"{1.0,2.00}", "2"}, "2"},
    {"array_position",
     "anycompatiblearray,anycompatible: json[],json",
     {"{\"{}\"}", "{}"},
     "ERROR: 42883: could not identify an equality operator for type json"},
    {"array_positions", "anycompatiblearray,anycompatible: int4[],int4", {"{1,2,1}", "1"}, "{1,3}"},
    {"array_positions", "anycompatiblearray,anycompatible: int4[],int4", {"{1}", "2"}, "{}"},
    {"array_positions", "anycompatiblearray,anycompatible: int4[],int4", {"{1,NULL,NULL}", NULL}, "{2,3}"},
    {"array_positions", "anycompatiblearray,anycompatible: int4[],int4", {NULL, "1"}, "NULL"},
    {"array_positions",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"{{1}}", "1"},
     "ERROR: 0A000: searching for elements in multidimensional arrays is not supported"},
    {"array_positions", "anycompatiblearray,anycompatible: int4[],int4", {"[5:7]={1,2,1}", "1"}, "{5,7}"},
};

static const struct fn_case width_bucket_cases[] = {
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {"5", "{1,3,10}"}, "2"},
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {"0", "{1,3,10}"}, "0"},
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {"10", "{1,3,10}"}, "3"},
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {"11", "{1,3,10}"}, "3"},
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {"3", "{}"}, "0"},
    {"width_bucket",
     "anycompatible,anycompatiblearray: int4,int4[]",
     {"5", "{{1,3}}"},
     "ERROR: 2202E: thresholds must be one-dimensional array"},
    {"width_bucket",
     "anycompatible,anycompatiblearray: int4,int4[]",
     {"5", "{1,NULL}"},
     "ERROR: 22004: thresholds array must not contain NULLs"},
    {"width_bucket", "anycompatible,anycompatiblearray: int4,int4[]", {NULL, "{1}"}, "NULL"},
};

TEST(width_bucket)
{
    FN_CASES_RUN(width_bucket_cases);
}

TEST(searching)
{
    FN_CASES_RUN(searching_cases);
}

static const struct fn_case changing_cases[] = {
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {"{1,2,1,NULL}", "1"}, "{2,NULL}"},
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {"{1,NULL}", NULL}, "{1}"},
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {"{1,1}", "1"}, "{}"},
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {"[5:7]={1,2,3}", "1"}, "[5:6]={2,3}"},
    {"array_remove",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"[5:7]={1,2,3}", "9"},
     "[5:7]={1,2,3}"},
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {NULL, "1"}, "NULL"},
    {"array_remove",
     "anycompatiblearray,anycompatible: int4[],int4",
     {"{{1}}", "1"},
     "ERROR: 0A000: removing elements from multidimensional arrays is not supported"},
    {"array_remove", "anycompatiblearray,anycompatible: int4[],int4", {"{}", "1"}, "{}"},
    {"array_remove",
     "anycompatiblearray,anycompatible: json[],json",
     {"{\"{}\"}", "{}"},
     "ERROR: 42883: could not identify an equality operator for type json"},
    {"array_replace",
     "anycompatiblearray,anycompatible,anycompatible: int4[],int4,int4",
     {"{1,2,1}", "1", "9"},
     "{9,2,9}"},
    {"array_replace",
     "anycompatiblearray,anycompatible,anycompatible: int4[],int4,int4",
     {"{{1,2}}", "1", NULL},
     "{{NULL,2}}"},
    {"array_replace",
     "anycompatiblearray,anycompatible,anycompatible: int4[],int4,int4",
     {"{1,NULL}", NULL, "7"},
     "{1,7}"},
    {"array_replace",
     "anycompatiblearray,anycompatible,anycompatible: int4[],int4,int4",
     {NULL, "1", "2"},
     "NULL"},
    {"array_replace",
     "anycompatiblearray,anycompatible,anycompatible: int4[],int4,int4",
     {"{}", "1", "2"},
     "{}"},
    {"trim_array", "anyarray,int4: int4[],int4", {"{1,2,3}", "1"}, "{1,2}"},
    {"trim_array", "anyarray,int4: int4[],int4", {"{{1,2},{3,4}}", "1"}, "{{1,2}}"},
    {"trim_array", "anyarray,int4: int4[],int4", {"[5:7]={1,2,3}", "1"}, "{1,2}"},
    {"trim_array", "anyarray,int4: int4[],int4", {"{1,2}", "2"}, "{}"},
    {"trim_array", "anyarray,int4: int4[],int4", {"{}", "0"}, "{}"},
    {"trim_array",
     "anyarray,int4: int4[],int4",
     {"{1}", "2"},
     "ERROR: 2202E: number of elements to trim must be between 0 and 1"},
    {"trim_array",
     "anyarray,int4: int4[],int4",
     {"{1}", "-1"},
     "ERROR: 2202E: number of elements to trim must be between 0 and 1"},
    {"trim_array",
     "anyarray,int4: int4[],int4",
     {"{}", "1"},
     "ERROR: 2202E: number of elements to trim must be between 0 and 0"},
    {"trim_array", "anyarray,int4: int4[],int4", {NULL, "1"}, "NULL"},
};

TEST(changing)
{
    FN_CASES_RUN(changing_cases);
}

static const struct fn_case filling_cases[] = {
    {"array_fill", "anyelement,int4[]: int4,int4[]", {"7", "{3}"}, "{7,7,7}"},
    {"array_fill", "anyelement,int4[]: int4,int4[]", {NULL, "{2}"}, "{NULL,NULL}"},
    {"array_fill", "anyelement,int4[]: text,int4[]", {"x", "{2,2}"}, "{{x,x},{x,x}}"},
    {"array_fill", "anyelement,int4[],int4[]: int4,int4[],int4[]", {"7", "{2}", "{5}"}, "[5:6]={7,7}"},
    {"array_fill", "anyelement,int4[]: int4,int4[]", {"7", "{0}"}, "{}"},
    {"array_fill", "anyelement,int4[]: int4,int4[]", {"7", "{}"}, "{}"},
    {"array_fill", "anyelement,int4[]: int4,int4[]", {"7", "{2,0}"}, "{}"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", NULL},
     "ERROR: 22004: dimension array or low bound array cannot be null"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{NULL}"},
     "ERROR: 22004: dimension values cannot be null"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{{1}}"},
     "ERROR: 2202E: wrong number of array subscripts"},
    {"array_fill",
     "anyelement,int4[],int4[]: int4,int4[],int4[]",
     {"7", "{1,2}", "{1}"},
     "ERROR: 2202E: wrong number of array subscripts"},
    {"array_fill",
     "anyelement,int4[],int4[]: int4,int4[],int4[]",
     {"7", "{1}", "{{1}}"},
     "ERROR: 2202E: wrong number of array subscripts"},
    {"array_fill",
     "anyelement,int4[],int4[]: int4,int4[],int4[]",
     {"7", "{1}", "{NULL}"},
     "ERROR: 22004: dimension values cannot be null"},
    {"array_fill",
     "anyelement,int4[],int4[]: int4,int4[],int4[]",
     {"7", "{1}", NULL},
     "ERROR: 22004: dimension array or low bound array cannot be null"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{-1}"},
     "ERROR: 54000: array size exceeds the maximum allowed (134217727)"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{1,1,1,1,1,1,1}"},
     "ERROR: 54000: number of array dimensions (7) exceeds the maximum allowed (6)"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{2000000000}"},
     "ERROR: 54000: array size exceeds the maximum allowed (134217727)"},
    {"array_fill",
     "anyelement,int4[]: int4,int4[]",
     {"7", "{50000,50000}"},
     "ERROR: 54000: array size exceeds the maximum allowed (134217727)"},
    {"array_fill",
     "anyelement,int4[],int4[]: int4,int4[],int4[]",
     {"7", "{3}", "{2147483646}"},
     "ERROR: 54000: array lower bound is too large: 2147483646"},
};

TEST(filling)
{
    FN_CASES_RUN(filling_cases);
}

static const struct fn_case text_and_rows_cases[] = {
    {"array_to_string", "anyarray,text: int4[],text", {"{1,NULL,3}", ","}, "1,3"},
    {"array_to_string", "anyarray,text,text: int4[],text,text", {"{1,NULL,3}", ",", "*"}, "1,*,3"},
    {"array_to_string", "anyarray,text: int4[],text", {"{{1,2},{3,4}}", "-"}, "1-2-3-4"},
    {"array_to_string", "anyarray,text: int4[],text", {"{}", ","}, ""},
    {"array_to_string", "anyarray,text: bool[],text", {"{t,f}", ","}, "t,f"},
    {"array_to_string", "anyarray,text: int4[],text", {NULL, ","}, "NULL"},
    {"array_to_string", "anyarray,text: int4[],text", {"{1}", NULL}, "NULL"},
    {"array_to_string", "anyarray,text,text: int4[],text,text", {"{1,NULL}", ",", NULL}, "1"},
    {"array_to_string", "anyarray,text: text[],text", {"{\"a b\",\"c\\\"d\",NULL,\"\"}", ","}, "a b,c\"d,"},
    {"array_to_string", "anyarray,text: int2vector,text", {"1 2", ","}, "1,2"},
    {"array_to_string",
     "anyarray,text: timestamptz[],text",
     {"{\"2024-01-01 10:00+02\"}", ","},
     "2024-01-01 08:00:00+00"},
    {"unnest", "anyarray: int4[]", {"{1,2,3}"}, "1|2|3"},
    {"unnest", "anyarray: int4[]", {"{{1,2},{3,NULL}}"}, "1|2|3|NULL"},
    {"unnest", "anyarray: int4[]", {"{}"}, ""},
    {"unnest", "anyarray: int4[]", {NULL}, ""},
    {"unnest", "anyarray: int2vector", {"3 1"}, "3|1"},
    {"unnest", "anyarray: text[]", {"{a,\"b c\",NULL}"}, "a|b c|NULL"},
};

TEST(text_and_rows)
{
    FN_CASES_RUN(text_and_rows_cases);
}

static const struct fn_case sets_of_elements_cases[] = {
    {"@>", "anyarray,anyarray: int4[],int4[]", {"{1,2}", "{1,NULL}"}, "f"},
    {"@>", "anyarray,anyarray: int4[],int4[]", {"{1,NULL}", "{NULL}"}, "f"},
    {"&&", "anyarray,anyarray: int4[],int4[]", {"{1,2}", "{NULL,2}"}, "t"},
    {"@>", "anyarray,anyarray: int4[],int4[]", {"{1}", "{}"}, "t"},
    {"<@", "anyarray,anyarray: int4[],int4[]", {"{1,2}", "{2,1,3}"}, "t"},
    {"<@", "anyarray,anyarray: int4[],int4[]", {"{1,2}", "{2,3}"}, "f"},
    {"@>", "anyarray,anyarray: int4[],int4[]", {"{{1,2},{3,4}}", "{4,1}"}, "t"},
    {"&&", "anyarray,anyarray: int4[],int4[]", {"{}", "{}"}, "f"},
    {"&&", "anyarray,anyarray: int4[],int4[]", {"{1,2}", "{3}"}, "f"},
    {"@>", "anyarray,anyarray: int4[],int4[]", {NULL, "{1}"}, "NULL"},
    {"@>", "anyarray,anyarray: numeric[],numeric[]", {"{1.0,2}", "{1.00}"}, "t"},
    {"@>",
     "anyarray,anyarray: json[],json[]",
     {"{\"{}\"}", "{\"{}\"}"},
     "ERROR: 42883: could not identify an equality operator for type json"},
    {"&&", "anyarray,anyarray: text[],text[]", {"{a,b}", "{b}"}, "t"},
};

TEST(sets_of_elements)
{
    FN_CASES_RUN(sets_of_elements_cases);
}

/* Enough elements for the hash table behind @> and &&. */
TEST(large_sets)
{
    struct strbuf whole = STRBUF_INIT, part = STRBUF_INIT;
    for (int i = 0; i < 300; i++) {
        strbuf_addf(&whole, "%c%d", i == 0 ? '{' : ',', i * 7);
        strbuf_addf(&part, "%c%d", i == 0 ? '{' : ',', (299 - i) * 7);
    }
    strbuf_adds(&whole, ",NULL}");
    strbuf_adds(&part, "}");
    struct fn_case c = {
        "@>", "anyarray,anyarray: int4[],int4[]", {strbuf_text(&whole), strbuf_text(&part)}, "t"};
    fn_case_run(&c);
    c.name = "&&";
    fn_case_run(&c);
    part.len--;
    strbuf_adds(&part, ",3}");
    c = (struct fn_case){"@>", c.types, {strbuf_text(&whole), strbuf_text(&part)}, "f"};
    fn_case_run(&c);
    c = (struct fn_case){"<@", c.types, {strbuf_text(&part), strbuf_text(&whole)}, "f"};
    fn_case_run(&c);
    c.name = "&&";
    c.expected = "t";
    fn_case_run(&c);
    strbuf_release(&whole);
    strbuf_release(&part);
}

int main(void)
{
    RUN(joining);
    RUN(sizes);
    RUN(searching);
    RUN(width_bucket);
    RUN(changing);
    RUN(filling);
    RUN(text_and_rows);
    RUN(sets_of_elements);
    RUN(large_sets);
    return test_result();
}
