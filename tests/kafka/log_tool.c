/* log_tool.c: connector 'kafka' without a server, driven by lines on its standard input (log_test.py):
 *   log_tool option=value ...
 *   start                               where a new source begins, as positions
 *   read POSITION ...                   a reader of these; POSITION is partition:offset[:seen_offset:seen_time_us]
 *   until PARTITION OFFSET              polls until the reader stands there; what it has read, "!" before errors that end
 *   error SQLSTATE                      polls until there is such an error
 *   positions, stats, incarnation       what they say
 *   discover PARTITION ...              polls until there are partitions beside these
 *   end                                 ends the reader
 *   drain PARTITION OFFSET NS           as until, but only counts, and takes NS nanoseconds for each record
 * Each answer ends with a line of a single dot. */
#include "protocol/connector/partitioned.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct partitioned_class *kafka = &partitioned_kafka;

struct tool {
    struct partitioned_log *log;
    struct partitioned_reader *reader;
    const struct partition_position *passed;
    uint32_t passed_count;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    struct error err;
};

static void wake(void *ctx)
{
    struct tool *tool = ctx;
    pthread_mutex_lock(&tool->lock);
    tool->woken = true;
    pthread_cond_signal(&tool->cond);
    pthread_mutex_unlock(&tool->lock);
}

static void sleep_until_woken(struct tool *tool)
{
    pthread_mutex_lock(&tool->lock);
    while (!tool->woken)
        pthread_cond_wait(&tool->cond, &tool->lock);
    tool->woken = false;
    pthread_mutex_unlock(&tool->lock);
}

static void print_error(const char *before, const struct error *err)
{
    printf("%s%s %s | %s\n", before, error_sqlstate(err->code), err->message, err->detail);
}

static void print_positions(const struct partition_position *positions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        printf("%d:%lld:%lld:%lld\n", positions[i].partition, (long long)positions[i].offset,
               (long long)positions[i].seen_offset, (long long)positions[i].seen_time_us);
}

static void start(struct tool *tool)
{
    struct arena arena;
    struct partition_position *positions;
    uint32_t count;
    arena_init(&arena, NULL);
    if (kafka->start(tool->log, INT64_C(60000000000), &arena, &positions, &count, &tool->err))
        print_positions(positions, count);
    else
        print_error("! ", &tool->err);
    arena_release(&arena);
}

static void read_from(struct tool *tool, char *words)
{
    struct partition_position positions[64];
    struct partitioned_read spec = {.positions = positions, .wake = wake, .wake_ctx = tool};
    for (int more = 0; spec.count < ARRAY_COUNT(positions); words += more) {
        long long offset, seen = -1, time = 0;
        struct partition_position *position = &positions[spec.count];
        if (sscanf(words, "%d:%lld%n:%lld:%lld%n", &position->partition, &offset, &more, &seen, &time,
                   &more) < 2)
            break;
        spec.count++;
        position->offset = offset;
        position->seen_offset = seen;
        position->seen_time_us = time;
    }
    if (!kafka->read(tool->log, &spec, &tool->reader, &tool->err))
        print_error("! ", &tool->err);
}

static int64_t stands_at(const struct tool *tool, int32_t partition)
{
    for (uint32_t i = 0; i < tool->passed_count; i++) {
        if (tool->passed[i].partition == partition)
            return tool->passed[i].offset;
    }
    return -1;
}

static void until(struct tool *tool, int32_t partition, int64_t offset, bool quiet, int64_t busy_ns)
{
    const struct record *records;
    uint32_t count;
    uint64_t all = 0, bytes = 0;
    int64_t began_ns = clock_monotonic_ns();
    int64_t waited_ns = 0;
    clock_t cpu = clock();
    do {
        count = 0;
        if (!kafka->poll(tool->reader, 4096, &records, &count, &tool->passed, &tool->passed_count,
                         &tool->err)) {
            print_error("! ", &tool->err);
            if (tool->err.code != ERRCODE_CONNECTION_FAILURE)
                return;
        }
        all += count;
        for (uint32_t i = 0; i < count; i++) {
            bytes += records[i].value_len;
            if (!quiet)
                printf("%d %lld %.*s\n", records[i].partition, (long long)records[i].offset,
                       (int)records[i].value_len, (const char *)records[i].value);
        }
        int64_t now_ns = clock_monotonic_ns(), busy_until_ns = now_ns + busy_ns * count;
        while (clock_monotonic_ns() < busy_until_ns)
            continue;
        if (count == 0 && stands_at(tool, partition) < offset)
            sleep_until_woken(tool);
        if (count == 0)
            waited_ns += clock_monotonic_ns() - now_ns;
    } while (stands_at(tool, partition) < offset);
    if (quiet)
        printf("%llu records, %llu bytes, %.3f s CPU, %.3f s, of which %.3f s waiting\n",
               (unsigned long long)all, (unsigned long long)bytes, (double)(clock() - cpu) / CLOCKS_PER_SEC,
               (double)(clock_monotonic_ns() - began_ns) / 1e9, (double)waited_ns / 1e9);
}

static void until_error(struct tool *tool, const char *sqlstate)
{
    const struct record *records;
    uint32_t count;
    for (;;) {
        count = 0;
        if (!kafka->poll(tool->reader, 4096, &records, &count, &tool->passed, &tool->passed_count,
                         &tool->err) &&
            strcmp(error_sqlstate(tool->err.code), sqlstate) == 0)
            break;
        if (count == 0)
            sleep_until_woken(tool);
    }
    print_error("", &tool->err);
}

static void discover(struct tool *tool, char *words)
{
    struct arena arena;
    struct partition_position *found;
    int32_t known[64];
    uint32_t known_count = 0, count = 0;
    for (int more; known_count < ARRAY_COUNT(known) && sscanf(words, "%d%n", &known[known_count], &more) == 1;
         words += more)
        known_count++;
    arena_init(&arena, NULL);
    for (;;) {
        kafka->discover(tool->log, known, known_count, &arena, &found, &count);
        if (count > 0)
            break;
        sleep_until_woken(tool);
    }
    print_positions(found, count);
    arena_release(&arena);
}

static void stats(struct tool *tool)
{
    struct arena arena;
    struct partition_stats *all;
    arena_init(&arena, NULL);
    uint32_t count = kafka->stats(tool->log, &arena, &all);
    for (uint32_t i = 0; i < count; i++)
        printf("%d %lld %lld %llu\n", all[i].partition, (long long)all[i].low, (long long)all[i].high,
               (unsigned long long)all[i].lost);
    arena_release(&arena);
}

static void end(struct tool *tool)
{
    if (tool->reader != NULL)
        kafka->end(tool->reader);
    tool->reader = NULL;
    tool->passed_count = 0;
}

static void run(struct tool *tool, char *line)
{
    int32_t partition;
    long long offset, busy_ns;
    char sqlstate[8];
    if (strncmp(line, "start", 5) == 0)
        start(tool);
    else if (strncmp(line, "read ", 5) == 0)
        read_from(tool, line + 5);
    else if (sscanf(line, "until %d %lld", &partition, &offset) == 2)
        until(tool, partition, offset, false, 0);
    else if (sscanf(line, "drain %d %lld %lld", &partition, &offset, &busy_ns) == 3)
        until(tool, partition, offset, true, busy_ns);
    else if (sscanf(line, "error %5s", sqlstate) == 1)
        until_error(tool, sqlstate);
    else if (strncmp(line, "positions", 9) == 0)
        print_positions(tool->passed, tool->passed_count);
    else if (strncmp(line, "discover", 8) == 0)
        discover(tool, line + 8);
    else if (strncmp(line, "stats", 5) == 0)
        stats(tool);
    else if (strncmp(line, "incarnation", 11) == 0)
        printf("%s\n", kafka->incarnation(tool->log));
    else if (strncmp(line, "end", 3) == 0)
        end(tool);
    printf(".\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct tool tool = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct connector_option *options = mem_zalloc(sizeof(*options) * (size_t)argc);
    struct source_spec spec = {.relation_name = "s", .options = options};
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return 2;
        *value = '\0';
        options[spec.options_count++] = (struct connector_option){argv[i], value + 1};
    }
    log_set_level(LOG_WARNING);
    if (!kafka->open(&spec, &tool.log, &tool.err)) {
        print_error("! ", &tool.err);
        return 1;
    }
    printf(".\n");
    fflush(stdout);
    char line[4096];
    while (fgets(line, sizeof(line), stdin) != NULL)
        run(&tool, line);
    end(&tool);
    kafka->close(tool.log);
    mem_free(options);
    return 0;
}
