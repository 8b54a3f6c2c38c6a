/* test_state_memory.c: pieces of state memory in files, a file that cannot grow, and a governor that takes pages away while
 * threads use them. */
#define _GNU_SOURCE /* memfd_create */
#include "storage/base/arena.h"
#include "storage/base/units.h"
#include "storage/disk/disk.h"
#include "storage/state/memory_governor.h"
#include "storage/state/slot_pages.h"
#include "storage/state/state_memory.h"
#include "storage/state/table_heap.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB ((size_t)1 << 20)

static uint64_t seed = 1;
static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static void open_memory(void)
{
    struct error err;
    error_init(&err);
    const char *dir = getenv("TMPDIR");
    if (!state_memory_open(dir != NULL ? dir : "/tmp", &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

/* ---- pieces ---- */

struct piece {
    uint8_t *data;
    size_t bytes, used;
    unsigned use;
    uint8_t fill;
};

static bool holds(const struct piece *piece, size_t from, size_t to, uint8_t value)
{
    for (size_t i = from; i < to; i += i % 4096 == 0 ? 1 : 4096 - i % 4096) {
        if (piece->data[i] != value)
            return false;
    }
    return to == from || piece->data[to - 1] == value;
}

static void check_piece(const struct piece *piece)
{
    EXPECT(holds(piece, 0, piece->used, piece->fill));
}

/* Random pieces come and go; each keeps what is written to it, and begins with zeros. */
static void churn(uint32_t rounds, uint32_t bytes_max)
{
    enum { PIECES = 40 };
    struct piece pieces[PIECES] = {0};
    for (uint32_t round = 0; round < rounds; round++) {
        struct piece *piece = &pieces[next_random() % PIECES];
        if (piece->data != NULL) {
            check_piece(piece);
            if ((piece->use & MEMORY_GROWS) && piece->used < piece->bytes && next_random() % 4 != 0) {
                size_t more = 1 + next_random() % (piece->bytes - piece->used);
                memory_grow(piece->data, piece->bytes, piece->used + more);
                EXPECT(holds(piece, piece->used, piece->used + more, 0));
                memset(piece->data + piece->used, piece->fill, more);
                piece->used += more;
                continue;
            }
            memory_unmap(piece->data, piece->bytes);
        }
        uint32_t log2 = 12 + next_random() % 10;
        piece->bytes = ((size_t)1 << log2) + next_random() % ((size_t)1 << log2);
        piece->bytes = piece->bytes < bytes_max ? piece->bytes : bytes_max;
        piece->use = next_random() % 8;
        if (!memory_is_lazy(piece->bytes))
            piece->use &= ~(unsigned)MEMORY_GROWS;
        piece->fill = (uint8_t)(1 + next_random() % 255);
        piece->used = piece->use & MEMORY_GROWS ? 0 : piece->bytes;
        piece->data = memory_map(piece->bytes, piece->use);
        EXPECT((uintptr_t)piece->data % 64 == 0);
        EXPECT(holds(piece, 0, piece->used, 0));
        memset(piece->data, piece->fill, piece->used);
        if (next_random() % 8 == 0) {
            for (uint32_t region = 0; region < state_memory_regions(); region++) {
                state_memory_evict(region, 0, REGION_BYTES);
                if (next_random() % 4 == 0)
                    state_memory_write_out(region);
            }
        }
    }
    for (uint32_t i = 0; i < PIECES; i++) {
        if (pieces[i].data != NULL)
            check_piece(&pieces[i]);
        memory_unmap(pieces[i].data, pieces[i].bytes);
    }
}

TEST(anonymous_pieces)
{
    churn(2000, 1 << 21);
}

TEST(pieces_in_files)
{
    open_memory();
    churn(2000, 1 << 21);
    struct state_memory_stats stats;
    state_memory_stats(&stats);
    EXPECT(stats.evicted_bytes > 0);
    EXPECT_INT(stats.file_bytes, 0); /* what is given back goes from the file */
    EXPECT_INT(stats.anonymous_bytes, 0);
    state_memory_close();
}

TEST(tables_in_files)
{
    open_memory();
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct slot_pages pages;
    slot_pages_init(&pages, 40, 8, &account);
    struct table_heap *heap = table_heap_create(&account);
    enum { ROWS = 300000 };
    char text[200];
    struct varlen *texts = mem_alloc(sizeof(*texts) * ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t slot = slot_pages_alloc(&pages);
        EXPECT_INT(slot, i);
        uint64_t *row = slot_pages_at(&pages, slot);
        for (uint32_t c = 0; c < 5; c++)
            row[c] = SLOT_LIVE + i * c;
        int len = snprintf(text, sizeof(text), "row %u %0*u", i, 10 + (int)(i % 90), i);
        if (i % 50000 == 7) { /* larger than what heaps keep in chunks */
            char *large = mem_zalloc(40000 + i);
            memcpy(large, text, (size_t)len);
            struct varlen value = varlen_view(large, 40000 + i);
            texts[i] = table_heap_store(heap, &value);
            mem_free(large);
        } else {
            struct varlen value = varlen_view(text, (uint32_t)len);
            texts[i] = table_heap_store(heap, &value);
        }
        if (i % 60000 == 0) {
            for (uint32_t region = 0; region < state_memory_regions(); region++)
                state_memory_evict(region, 0, REGION_BYTES);
        }
    }
    struct state_memory_stats stats;
    state_memory_stats(&stats);
    EXPECT(stats.file_bytes > 40 * ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint64_t *row = slot_pages_at(&pages, i);
        int len = snprintf(text, sizeof(text), "row %u %0*u", i, 10 + (int)(i % 90), i);
        bool same = row[1] == SLOT_LIVE + (uint64_t)i && row[4] == SLOT_LIVE + (uint64_t)(i * 4u) &&
                    memcmp(varlen_bytes(&texts[i]), text, (size_t)len) == 0;
        if (!same)
            EXPECT_INT(i, -1);
        table_heap_free(heap, &texts[i]);
    }
    mem_free(texts);
    table_heap_destroy(heap);
    slot_pages_release(&pages);
    EXPECT_INT(atomic_load(&account.used_bytes), 0);
    state_memory_stats(&stats);
    EXPECT_INT(stats.file_bytes, 0);
    state_memory_close();
}

/* ---- a full disk ---- */

TEST(full_file)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    open_memory();
    struct error err;
    error_init(&err);
    EXPECT(state_memory_check(&err));
    small = before;
    small.rlim_cur = 8 * MB;
    setrlimit(RLIMIT_FSIZE, &small);
    size_t bytes = 64 * MB;
    uint8_t *data = memory_map(bytes, MEMORY_GROWS);
    for (size_t used = 0; used < 32 * MB; used += MB) {
        memory_grow(data, bytes, used + MB);
        memset(data + used, (int)(used / MB) + 1, MB);
    }
    EXPECT(!state_memory_check(&err));
    EXPECT_INT(err.code, ERRCODE_DISK_FULL);
    struct state_memory_stats stats;
    state_memory_stats(&stats);
    EXPECT(stats.anonymous_bytes >= (int64_t)(23 * MB));
    for (uint32_t region = 0; region < state_memory_regions(); region++)
        state_memory_evict(region, 0, REGION_BYTES); /* leaves alone what the file does not have */
    for (size_t at = 0; at < 32 * MB; at += 4096)
        EXPECT_INT(data[at], (int)(at / MB) + 1);
    churn(500, 1 << 20);
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT(state_memory_check(&err));
    memory_grow(data, bytes, bytes);
    memset(data + 32 * MB, 99, 32 * MB);
    for (uint32_t region = 0; region < state_memory_regions(); region++)
        state_memory_evict(region, 0, REGION_BYTES);
    for (size_t at = 0; at < bytes; at += 4096)
        EXPECT_INT(data[at], at < 32 * MB ? (int)(at / MB) + 1 : 99);
    memory_unmap(data, bytes);
    data = memory_map(bytes, 0); /* where anonymous memory was the file is back, and empty */
    for (size_t at = 0; at < bytes; at += 4096)
        EXPECT_INT(data[at], 0);
    state_memory_stats(&stats);
    EXPECT_INT(stats.anonymous_bytes, 0);
    memory_unmap(data, bytes);
    state_memory_close();
}

/* ---- a file that has lost something ---- */

static struct disk losing_disk;
static _Atomic int lost_code;

static int has_lost(struct disk_file *file, uint64_t bytes)
{
    int code = atomic_load(&lost_code);
    return code != 0 ? code : disk_posix()->lost(file, bytes);
}

/* Status of a process that does this, and what it says. */
static int run_apart(void (*run)(void), char *said, size_t size)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(dup2(fds[1], STDERR_FILENO) >= 0);
        run();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (ssize_t got; len + 1 < size && (got = read(fds[0], said + len, size - 1 - len)) > 0;)
        len += (size_t)got;
    said[len] = '\0';
    close(fds[0]);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void lose_memory(void)
{
    open_memory();
    uint8_t *data = memory_map(4 * MB, 0);
    memset(data, 1, 4 * MB);
    state_memory_verify();
    if (write(STDERR_FILENO, "fine so far\n", 12) != 12)
        _exit(2);
    atomic_store(&lost_code, EIO);
    state_memory_verify();
}

/* What is not ours goes where it went before. */
static void other_bus_error(void)
{
    signal(SIGBUS, SIG_DFL);
    open_memory();
    int fd = memfd_create("other", 0);
    volatile uint8_t *data = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (data != MAP_FAILED && data[0] == 0)
        _exit(2);
}

TEST(lost_writes)
{
    char said[1000];
    losing_disk = *disk_posix();
    losing_disk.lost = has_lost;
    disk_use(&losing_disk);
    int status = run_apart(lose_memory, said, sizeof(said));
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == SPILL_LOST_EXIT);
    EXPECT(strstr(said, "fine so far\nmillrace: the spill file in \"/") == said);
    EXPECT(strstr(said, "has lost what was written to it: Input/output error") != NULL);
    disk_use(NULL);
    status = run_apart(other_bus_error, said, sizeof(said));
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    EXPECT_TEXT(said, "");
}

TEST(no_directory)
{
    struct error err;
    error_init(&err);
    EXPECT(!state_memory_open("/nonexistent/directory", &err));
    EXPECT_INT(err.code, ERRCODE_IO_ERROR);
    EXPECT(!atomic_load(&state_memory_is_open));
}

/* ---- the governor ---- */

#define LIMIT (64 * MB)

static struct account root;

struct user {
    uint8_t *data;
    size_t bytes;
    uint32_t seed;
    bool ok;
};

static void *use_memory(void *arg)
{
    struct user *user = arg;
    user->ok = true;
    size_t pages = user->bytes / 4096;
    for (size_t page = 0; page < pages; page++) {
        if (page % 64 == 0)
            account_charge(&root, 64 * 4096);
        memcpy(user->data + page * 4096, &page, sizeof(page));
    }
    uint32_t state = user->seed;
    for (uint32_t i = 0; i < 60000; i++) {
        if (i % 512 == 0)
            memory_pace();
        state = state * 1664525u + 1013904223u;
        size_t page = (state >> 8) % pages, found;
        memcpy(&found, user->data + page * 4096, sizeof(found));
        user->ok &= found == page;
        user->data[page * 4096 + 100]++;
    }
    return NULL;
}

TEST(stays_below_the_limit)
{
    open_memory();
    account_init(&root, NULL, "server", 0);
    memory_governor_start((int64_t)LIMIT, &root);
    struct user users[2];
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        users[i] = (struct user){.bytes = 160 * MB, .seed = i + 1};
        users[i].data = memory_map(users[i].bytes, MEMORY_HUGE);
        EXPECT(pthread_create(&threads[i], NULL, use_memory, &users[i]) == 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EXPECT(users[i].ok);
        size_t sum = 0, expected = 0;
        for (size_t page = 0; page < users[i].bytes / 4096; page++) {
            size_t found;
            if (page % 512 == 0)
                memory_pace();
            memcpy(&found, users[i].data + page * 4096, sizeof(found));
            sum += found;
            expected += page;
        }
        EXPECT_INT(sum, expected);
    }
    struct memory_governor_stats stats;
    memory_governor_stats(&stats);
    EXPECT_INT(stats.limit_bytes, LIMIT);
    EXPECT(stats.rounds > 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    long long peak_kb = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        (void)sscanf(line, "VmHWM: %lld", &peak_kb);
    if (file != NULL)
        fclose(file);
    EXPECT(peak_kb > 0);
    if ((size_t)peak_kb * 1024 > LIMIT * 3 / 2) /* of 320 MB */
        EXPECT_INT(peak_kb, LIMIT / 1024);
#endif
    for (uint32_t i = 0; i < 2; i++)
        memory_unmap(users[i].data, users[i].bytes);
    memory_governor_stop();
    state_memory_close();
}

/* What cannot be taken away presses statements that hold much, and nobody else. */
TEST(pressure)
{
    open_memory();
    account_init(&root, NULL, "server", 0);
    struct account statement, small, view;
    account_init(&statement, &root, "statement", 0);
    account_init(&small, &root, "small", 0);
    account_init(&view, &root, "view", 0);
    view.is_state = true;
    memory_governor_start((int64_t)LIMIT, &root);
    struct arena arena;
    arena_init(&arena, &statement);
    account_charge(&small, 1000);
    account_charge(&view, 10 * (int64_t)MB);
    struct error err;
    error_init(&err);
    bool refused = false;
    for (uint32_t i = 0; i < 200 && !refused; i++) {
        memset(arena_alloc(&arena, MB), 1, MB);
        refused = !account_check(&statement, &err);
    }
    for (uint32_t i = 0; i < 20000 && !refused; i++) { /* the governor has a thread of its own */
        usleep(1000);
        refused = !account_check(&statement, &err);
    }
    EXPECT(refused);
    EXPECT_INT(err.code, ERRCODE_OUT_OF_MEMORY);
    EXPECT(account_check(&small, &err));
    EXPECT(account_check(&view, &err));
    arena_release(&arena);
    for (uint32_t i = 0; i < 2000 && atomic_load(&root.pressed); i++)
        usleep(1000);
    EXPECT(account_check(&statement, &err));
    memory_governor_stop();
    state_memory_close();
}

TEST(sizes)
{
    int64_t bytes = 0;
    char text[24];
    EXPECT(bytes_parse("64kB", &bytes) && bytes == 65536);
    EXPECT(bytes_parse(" 1.5 GB ", &bytes) && bytes == INT64_C(3) << 29);
    EXPECT(bytes_parse("12", &bytes) && bytes == 12);
    EXPECT(bytes_parse("-1MB", &bytes) && bytes == -1048576);
    EXPECT(bytes_parse("0.5B", &bytes) && bytes == 1);
    EXPECT(!bytes_parse("", &bytes) && !bytes_parse("MB", &bytes) && !bytes_parse("1 mb", &bytes));
    EXPECT(!bytes_parse("1MB x", &bytes) && !bytes_parse("1.", &bytes) && !bytes_parse("9999999TB", &bytes));
    bytes_format(0, text);
    EXPECT_TEXT(text, "0");
    bytes_format(200 * (int64_t)MB, text);
    EXPECT_TEXT(text, "200MB");
    bytes_format(1025, text);
    EXPECT_TEXT(text, "1025B");
    bytes_format(INT64_C(3) << 40, text);
    EXPECT_TEXT(text, "3TB");
}

int main(void)
{
    RUN(sizes);
    RUN(stays_below_the_limit); /* while the process is small */
    RUN(anonymous_pieces);
    RUN(pieces_in_files);
    RUN(tables_in_files);
    RUN(full_file);
    RUN(lost_writes);
    RUN(no_directory);
    RUN(pressure);
    return test_result();
}
