/* test_saved_state.c: whatever has state can be saved: every operator class that tells the size of its state lists the
 * tables that it lies in, or stands below with the reason why it need not. */
#include "executor/dataflow_internal.h"
#include "executor/operator.h"
#include "storage/base/strbuf.h"
#include "tests/test.h"

static const struct operator_class *const classes[] = {
    &op_calc_class,        &op_project_set_class, &op_window_class,        &op_session_class,
    &op_aggregate_class,   &op_arrange_class,     &op_join_class,          &op_union_class,
    &op_set_op_class,      &op_sort_class,        &op_top_n_class,         &op_top_few_class,
    &op_at_most_one_class, &op_over_class,        &op_late_class,          &op_temporal_filter_class,
    &op_final_class,       &op_every_class,       &op_interval_join_class, &op_lookup_join_class,
    &op_asof_join_class,   &op_values_class,      &flow_scan_class,        &flow_system_class,
    &flow_shared_class,    &flow_exchange_class,  &flow_receive_class,     &flow_materialize_class,
    &flow_tap_class,       &flow_sink_class,
};

TEST(what_has_state_saves_it)
{
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        const struct operator_class *class = classes[i];
        bool has_state = class->state_rows != NULL || class->state_bytes != NULL;
        if (has_state && class->saved_tables == NULL) {
            fprintf(stderr, "%s has state that no checkpoint saves\n", class->name);
            EXPECT(class->saved_tables != NULL);
        }
        EXPECT((class->save_rest == NULL) == (class->restore_rest == NULL) || class->save_rest == NULL);
    }
}

/* Appends to `text` what the file beside this one holds. */
static void read_source(const char *path, struct strbuf *text)
{
    char name[4096], *end;
    snprintf(name, sizeof(name), "%s", __FILE__);
    end = strstr(name, "tests/executor/test_saved_state.c");
    EXPECT(end != NULL);
    snprintf(end, sizeof(name) - (size_t)(end - name), "%s", path);
    FILE *file = fopen(name, "r");
    EXPECT(file != NULL);
    if (file == NULL)
        return;
    char line[1024];
    while (fgets(line, sizeof(line), file) != NULL)
        strbuf_adds(text, line);
    fclose(file);
}

TEST(no_class_is_left_out)
{
    struct strbuf text = STRBUF_INIT;
    read_source("executor/operator.h", &text);
    read_source("executor/dataflow_internal.h", &text);
    size_t found = 0;
    for (const char *at = strbuf_text(&text);
         (at = strstr(at, "extern const struct operator_class ")) != NULL; at++)
        found++;
    EXPECT_INT(found, ARRAY_COUNT(classes));
    strbuf_release(&text);
}

int main(void)
{
    RUN(what_has_state_saves_it);
    RUN(no_class_is_left_out);
    return test_result();
}
