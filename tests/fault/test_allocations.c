/* test_allocations.c: the script against a server in a process of its own that is refused its Nth piece of memory, or finds
 * that a spill file has lost something when it looks for the Nth time, for every N (`./dev soak allocations`; few else).
 *
 * What must hold: the process ends with a message and MEM_REFUSED_EXIT, or, where it has a reserve to give up, goes on;
 * the next start has everything that was acknowledged, once, and of the statement that was running all or nothing.
 *
 * Linked with --wrap, so that what our code asks of the system comes here first. The disk is the system's, without syncs:
 * what the process wrote before it ended is there. */
#define _GNU_SOURCE /* mkdtemp */
#include "storage/base/arena.h"
#include "storage/disk/disk.h"
#include "storage/state/state_memory.h"
#include "tests/fault/fault_script.h"
#include "tests/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory that is refused ---- */

static _Atomic uint64_t requests, refuse_at;
static _Atomic uint32_t refuse_count;
static _Thread_local bool is_tester; /* this thread is not the server's */

static bool is_refused(void)
{
    if (is_tester)
        return false;
    uint64_t number = atomic_fetch_add(&requests, 1) + 1, at = atomic_load(&refuse_at);
    return at != 0 && number >= at && number - at < atomic_load(&refuse_count);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes)
{
    return is_refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return is_refused() ? NULL : __real_realloc(old, bytes);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    return is_refused() ? ENOMEM : __real_posix_memalign(out, alignment, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return is_refused() ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);
}

/* ---- a disk whose syncs cost nothing, and whose spill files may lose something ---- */

static _Atomic uint64_t looks, lose_at;

static int has_lost(struct disk_file *file, uint64_t bytes)
{
    return atomic_fetch_add(&looks, 1) + 1 == atomic_load(&lose_at) ? EIO : disk_posix()->lost(file, bytes);
}

static int no_sync(struct disk_file *file)
{
    return 0;
}

static int no_sync_dir(struct disk *disk, const char *path)
{
    return 0;
}

static struct disk disk;
static char base[] = "/tmp/millrace-allocations.XXXXXX";
static char dir[sizeof(base) + 8];

static bool forget_file(void *ctx, const char *name)
{
    char path[sizeof(dir) + 300];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return unlink(path) == 0;
}

static void forget_directory(void)
{
    (void)disk.list(&disk, dir, forget_file, NULL);
    (void)rmdir(dir);
}

/* ---- one run ---- */

/* A statement fails for want of memory, or of what a statement before it would have made. */
static bool is_explained(const struct fault_result *result, const char *statement, bool any_refused)
{
    if (result->sqlstate[0] == '\0' || strcmp(result->sqlstate, "53200") == 0)
        return true;
    if (strcmp(result->sqlstate, "23505") == 0)
        return strstr(statement, "twice") != NULL;
    return any_refused && strncmp(result->sqlstate, "42", 2) == 0;
}

/* What a process is faced with: number `at` and those after it, `count` in all. */
struct trouble {
    const char *name;
    uint64_t at;
    uint32_t count;
    bool is_loss; /* of what lies in spill files, else memory is refused */
    int status;   /* it ends with, where it does */
    const char *says;
};

/* The process in trouble. Tells through `told`, a byte each, what has become of the statements; 'S' once the
 * server has started, 'E' at the end. */
static void be_in_trouble(const struct trouble *trouble, int told)
{
    struct fault_server *server;
    struct error err;
    error_init(&err);
    atomic_store(&requests, 0);
    atomic_store(&refuse_count, trouble->count);
    atomic_store(trouble->is_loss ? &lose_at : &refuse_at, trouble->at);
    fault_server_limit_memory(trouble->is_loss ? "1GB" : NULL);
    if (!fault_server_open(dir, 1, &server, &err)) {
        fprintf(stderr, "%s\n", err.message);
        _exit(1);
    }
    is_tester = true;
    struct fault_client *client = fault_client_open(server);
    bool any_refused = false;
    CHECK(write(told, "S", 1) == 1);
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++) {
        const struct fault_result *result = fault_query(client, fault_script[i], 0, NULL, NULL);
        char outcome = result->sqlstate[0] == '\0' ? 'd' : strcmp(result->sqlstate, "08006") == 0 ? 'u' : 'r';
        if (outcome == 'r' && !is_explained(result, fault_script[i], any_refused)) {
            fprintf(stderr, "%s: %s: %s\n", fault_script[i], result->sqlstate, result->message);
            _exit(1);
        }
        any_refused |= strcmp(result->sqlstate, "53200") == 0;
        CHECK(write(told, &outcome, 1) == 1);
    }
    uint64_t total = atomic_load(trouble->is_loss ? &looks : &requests);
    CHECK(write(told, "E", 1) == 1 && write(told, &total, sizeof(total)) == sizeof(total));
    _exit(0); /* as a kill: stopping cleanly is what other tests do */
}

struct end {
    bool has_started, has_ended;
    uint64_t total; /* requests, when it has come to the end */
    int status;
    char message[400]; /* the last it said on stderr */
};

static size_t read_all(int fd, char *out, size_t bytes)
{
    size_t got = 0;
    for (ssize_t part; got < bytes && (part = read(fd, out + got, bytes - got)) > 0;)
        got += (size_t)part;
    return got;
}

static struct end watch(struct fault_run *run, pid_t pid, int told, int said)
{
    struct end end = {0};
    char bytes[FAULT_SCRIPT_COUNT + 2 + sizeof(uint64_t)] = "";
    size_t count = read_all(told, bytes, sizeof(bytes));
    size_t len = read_all(said, end.message, sizeof(end.message) - 1);
    end.message[len] = '\0';
    CHECK(waitpid(pid, &end.status, 0) == pid);
    end.has_started = count > 0;
    end.has_ended = count == sizeof(bytes);
    if (end.has_ended)
        memcpy(&end.total, bytes + FAULT_SCRIPT_COUNT + 2, sizeof(end.total));
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++) {
        char outcome = i + 1 < count ? bytes[i + 1] : i + 1 == count && end.has_started ? 'u' : 'r';
        run->outcomes[i] = outcome == 'd' ? DONE : outcome == 'u' ? UNKNOWN : REFUSED;
    }
    return end;
}

static void check_next_start(struct fault_run *run)
{
    struct fault_server *server;
    struct error err;
    error_init(&err);
    if (!fault_server_open(dir, 1, &server, &err)) {
        fault_complain(run, "it does not start again", err.message);
        return;
    }
    struct fault_client *client = fault_client_open(server);
    fault_check_contents(run, client, "after the restart");
    const struct fault_result *result =
        fault_query(client, "CREATE TABLE x (a int); DROP TABLE x", 0, NULL, NULL);
    if (result->sqlstate[0] != '\0')
        fault_complain(run, "nothing can be written after the restart", result->message);
    fault_client_close(client);
    fault_server_close(server);
}

static struct end run_one(const struct trouble *trouble)
{
    struct fault_run run = {.name = trouble->name, .at = trouble->at};
    int told[2], said[2];
    CHECK(pipe(told) == 0 && pipe(said) == 0);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        is_tester = false;
        CHECK(dup2(said[1], STDERR_FILENO) >= 0);
        be_in_trouble(trouble, told[1]);
    }
    close(told[1]);
    close(said[1]);
    struct end end = watch(&run, pid, told[0], said[0]);
    close(told[0]);
    close(said[0]);
    bool gave_up = WIFEXITED(end.status) && WEXITSTATUS(end.status) == trouble->status;
    if (gave_up && strstr(end.message, trouble->says) == NULL)
        fault_complain(&run, "it ends without a word", end.message);
    if (!gave_up && !(end.has_ended && WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0)) {
        char status[40];
        snprintf(status, sizeof(status), "status %x: ", (unsigned)end.status);
        fault_complain(&run, status, end.message);
    }
    check_next_start(&run);
    forget_directory();
    return end;
}

/* ---- all of them ---- */

#define REFUSES MEM_REFUSED_EXIT, "the operating system refused"
static const struct trouble troubles[] = {
    {"refused from now on", 0, UINT32_MAX, false, REFUSES},
    {"refused once", 0, 1, false, REFUSES},
    {"a page of the spill file is lost", 0, 1, true, SPILL_LOST_EXIT, "has lost what was written to it"},
};

static void run_all(const struct trouble *kind, uint64_t stride, uint64_t first)
{
    struct trouble trouble = *kind;
    struct end whole = run_one(&trouble);
    uint64_t runs = 0, ended = 0;
    for (trouble.at = 1 + first % stride; trouble.at <= whole.total; trouble.at += stride, runs++)
        ended += !run_one(&trouble).has_ended;
    printf("%s: %llu of %llu times, %llu times the process has ended\n", kind->name, (unsigned long long)runs,
           (unsigned long long)whole.total, (unsigned long long)ended);
    /* one refusal costs the reserve; what is refused for longer, the process; what is lost is lost */
    bool goes_on = kind->count == 1 && !kind->is_loss;
    if (kind->is_loss && runs < 10)
        test_fail(__FILE__, __LINE__, "few look whether something is lost");
    if (runs > 0 && (goes_on ? ended > runs / 10 : ended < runs * 9 / 10))
        test_fail(__FILE__, __LINE__, kind->name);
    fflush(stdout);
}

/* test_allocations [STRIDE [KIND [AT]]]: stride 1 is every request; a failure names kind and number. */
int main(int argc, char **argv)
{
    test_name = "allocations";
    is_tester = true;
    if (argc > 2 && strcmp(argv[1], "--expect") == 0) {
        fault_print_expected(argv[2]);
        return 0;
    }
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 97;
    CHECK(mkdtemp(base) != NULL);
    snprintf(dir, sizeof(dir), "%s/data", base);
    disk = *disk_posix();
    disk.sync = no_sync;
    disk.sync_dir = no_sync_dir;
    disk.lost = has_lost;
    disk_use(&disk);
    for (size_t i = 0; i < ARRAY_COUNT(troubles); i++) {
        struct trouble trouble = troubles[i];
        trouble.at = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
        if (argc > 2 && strcmp(argv[2], trouble.name) != 0)
            continue;
        if (argc > 3)
            (void)run_one(&trouble);
        else
            run_all(&trouble,
                    trouble.is_loss                    ? 1
                    : trouble.count == 1 && stride > 1 ? stride * 4
                                                       : stride,
                    i);
    }
    disk_use(NULL);
    (void)rmdir(base);
    test_failures += fault_complaints;
    return test_result();
}
