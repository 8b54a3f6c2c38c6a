/* sqlite_memory.c: see sqlite_memory.h. In front of each piece stands its size, which SQLite asks for. */
#include "tests/fault/sqlite_memory.h"

#include "storage/base/check.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 16

static _Atomic uint64_t counted, fail_at;
static _Atomic bool is_lasting, has_failed;

static bool is_refused(void)
{
    uint64_t number = atomic_fetch_add(&counted, 1) + 1, at = atomic_load(&fail_at);
    bool refused = at != 0 && (number == at || (number > at && atomic_load(&is_lasting)));
    if (refused)
        atomic_store(&has_failed, true);
    return refused;
}

static void *get(void *old, int bytes)
{
    if (is_refused())
        return NULL;
    char *data = realloc(old, HEAD + (size_t)bytes);
    CHECK(data != NULL);
    memcpy(data, &bytes, sizeof(bytes));
    return data + HEAD;
}

static void *memory_malloc(int bytes)
{
    return get(NULL, bytes);
}

static void memory_free(void *data)
{
    free((char *)data - HEAD);
}

static void *memory_realloc(void *old, int bytes)
{
    return get((char *)old - HEAD, bytes);
}

static int memory_size(void *data)
{
    int bytes;
    memcpy(&bytes, (char *)data - HEAD, sizeof(bytes));
    return bytes;
}

static int memory_round(int bytes)
{
    return (bytes + 7) & ~7;
}

static int memory_init(void *ctx)
{
    return SQLITE_OK;
}

static void memory_shutdown(void *ctx) {}

void sqlite_memory_install(void)
{
    static const sqlite3_mem_methods methods = {memory_malloc, memory_free, memory_realloc,  memory_size,
                                                memory_round,  memory_init, memory_shutdown, NULL};
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    /* every request is one of ours, small ones too */
    CHECK(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
}

void sqlite_memory_count(void)
{
    atomic_store(&fail_at, 0);
    atomic_store(&counted, 0);
    atomic_store(&has_failed, false);
}

uint64_t sqlite_memory_counted(void)
{
    return atomic_load(&counted);
}

void sqlite_memory_fail(uint64_t at, bool lasting)
{
    atomic_store(&is_lasting, lasting);
    atomic_store(&fail_at, at);
}

bool sqlite_memory_has_failed(void)
{
    return atomic_load(&has_failed);
}
