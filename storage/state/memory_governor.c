/* memory_governor.c: see memory_governor.h. */
#define _GNU_SOURCE /* gettid */
#include "storage/state/memory_governor.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/state/state_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FAULT_BYTES_PER_US 2048 /* faster than pages come back: how soon to look again */
#define LOOK_MIN_US        1000
#define LOOK_MAX_US        20000
#define QUIET_LOOKS        25 /* without a change: nobody works with state */
#define QUIET_BYTES        (INT64_C(256) << 10)
#define TRIM_NS            INT64_C(200000000) /* no more often is malloc asked for what it does not use */
#define TRIM_IDLE_NS       INT64_C(1000000000)
#define MARGIN_BYTES       (INT64_C(32) << 20)
#define SAMPLE_PAGES       32u
#define WRITES_MAX         256u

enum { WANTS_WAKING = 1, WANTS_HELP = 2, WANTS_LOOKS = 4 };
_Atomic uint32_t memory_governor_wants;

static struct {
    int64_t limit, high, low; /* of resident bytes; above high state goes until low */
    int64_t press;            /* of anonymous bytes */
    int64_t step;             /* bytes asked for that are worth a look */
    struct account *root;
    int statm, pagemap;
    size_t page_bytes;
    pthread_t thread, writer;
    sem_t wake, has_writes;
    _Atomic bool is_asleep, is_running, is_stopping;
    _Atomic int64_t resident, anonymous, grown;
    _Atomic uint64_t rounds;

    pthread_mutex_t evicting; /* the rest */
    uint32_t front, back;     /* the clock's hands */
    uint8_t *samples;         /* per region: which part of it was taken as a sample, from 1; 0: none */
    uint32_t samples_count;
    uint32_t turn;
    _Atomic int64_t trimmed_ns;
    uint32_t writes[WRITES_MAX];
    uint32_t writes_count;
} governor = {.statm = -1, .pagemap = -1, .evicting = PTHREAD_MUTEX_INITIALIZER};

/* ---- looking ---- */

static int64_t look(int statm)
{
    char text[128];
    ssize_t len = pread(statm, text, sizeof(text) - 1, 0);
    long long resident = 0, shared = 0;
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "%*d %lld %lld", &resident, &shared) != 2)
        return atomic_load(&governor.resident);
    atomic_store(&governor.grown, 0);
    atomic_store(&governor.anonymous, (resident - shared) * (int64_t)sysconf(_SC_PAGESIZE));
    atomic_store(&governor.resident, resident * (int64_t)sysconf(_SC_PAGESIZE));
    return resident * (int64_t)sysconf(_SC_PAGESIZE);
}

/* Nobody watches: there is no limit. */
static void look_once(void)
{
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    (void)look(file);
    close(file);
}

/* How many pages of the sample are there. */
static uint32_t present_pages(const uint8_t *data, uint32_t count)
{
    uint64_t entries[SAMPLE_PAGES];
    size_t bytes = sizeof(*entries) * count;
    off_t at = (off_t)((uintptr_t)data / governor.page_bytes * sizeof(*entries));
    if (pread(governor.pagemap, entries, bytes, at) != (ssize_t)bytes)
        return 0;
    uint32_t present = 0;
    for (uint32_t i = 0; i < count; i++)
        present += entries[i] >> 63;
    return present;
}

/* ---- the clock ---- */

static void need_samples(uint32_t regions)
{
    if (regions <= governor.samples_count)
        return;
    uint32_t count = regions + regions / 2 + 64;
    governor.samples = mem_realloc(governor.samples, count);
    memset(governor.samples + governor.samples_count, 0, count - governor.samples_count);
    governor.samples_count = count;
}

static void take_sample(uint32_t region)
{
    uint32_t bytes = (uint32_t)(SAMPLE_PAGES * governor.page_bytes);
    uint32_t parts = (uint32_t)(REGION_BYTES / bytes), part = governor.turn++ % parts;
    state_memory_evict(region, (size_t)part * bytes, bytes);
    governor.samples[region] = (uint8_t)(part + 1);
}

static bool is_in_use(uint32_t region)
{
    uint32_t sample = governor.samples[region];
    governor.samples[region] = 0;
    const uint8_t *data = state_memory_region(region);
    if (sample == 0 || data == NULL)
        return false;
    data += (size_t)(sample - 1) * SAMPLE_PAGES * governor.page_bytes;
    return present_pages(data, SAMPLE_PAGES) >= SAMPLE_PAGES / 4;
}

/* What was taken away begins to go to disk. On a thread of its own: a busy disk makes it wait. */
static void write_out(void)
{
    uint32_t regions[WRITES_MAX];
    pthread_mutex_lock(&governor.evicting);
    uint32_t count = governor.writes_count;
    memcpy(regions, governor.writes, sizeof(*regions) * count);
    governor.writes_count = 0;
    pthread_mutex_unlock(&governor.evicting);
    for (uint32_t i = 0; i < count; i++)
        state_memory_write_out(regions[i]);
}

/* Moves both hands until no more than `until` bytes are resident, or all regions have been looked at twice: in the
 * second round none is spared. */
static void evict(int64_t until)
{
    uint32_t regions = state_memory_regions();
    if (regions == 0)
        return;
    need_samples(regions);
    uint32_t lead = regions / 4 + 1;
    bool any = false;
    for (uint64_t step = 0; step < 2 * (uint64_t)regions && look(governor.statm) > until; step++) {
        governor.back = governor.back + 1 < regions ? governor.back + 1 : 0;
        while ((governor.front + regions - governor.back % regions) % regions < lead % regions) {
            governor.front = governor.front + 1 < regions ? governor.front + 1 : 0;
            if (state_memory_region_used(governor.front))
                take_sample(governor.front);
        }
        uint32_t region = governor.back;
        if (!state_memory_region_used(region) || (is_in_use(region) && step < regions))
            continue;
        state_memory_evict(region, 0, REGION_BYTES);
        any = true;
        if (governor.writes_count < WRITES_MAX)
            governor.writes[governor.writes_count++] = region;
    }
    if (any && atomic_fetch_add(&governor.rounds, 1) == 0)
        atomic_fetch_or(&memory_governor_wants, WANTS_LOOKS); /* from now on pages come back at any time */
}

/* ---- pressure ---- */

/* What statements hold, and nobody else can give back. */
static void judge_pressure(void)
{
    if (atomic_load(&governor.anonymous) > governor.press) {
        int64_t now_ns = clock_monotonic_ns();
        if (now_ns - governor.trimmed_ns < TRIM_NS)
            return;
        malloc_trim(0); /* what was freed and not given back is nobody's fault */
        governor.trimmed_ns = now_ns;
        look(governor.statm);
    }
    bool pressed = atomic_load(&governor.anonymous) > governor.press;
    if (pressed != atomic_load(&governor.root->pressed))
        atomic_store(&governor.root->pressed, pressed);
}

/* ---- threads ---- */

/* Called with `evicting`. */
static int64_t keep_below(void)
{
    int64_t resident = look(governor.statm);
    if (resident > governor.high) {
        evict(governor.low);
        resident = atomic_load(&governor.resident);
    }
    judge_pressure();
    if (resident <= governor.limit)
        atomic_fetch_and(&memory_governor_wants, ~(uint32_t)WANTS_HELP);
    return resident;
}

static void help(void)
{
    pthread_mutex_lock(&governor.evicting);
    (void)keep_below();
    pthread_mutex_unlock(&governor.evicting);
}

static void wake_up(void)
{
    atomic_fetch_and(&memory_governor_wants, ~(uint32_t)WANTS_WAKING);
    if (atomic_exchange(&governor.is_asleep, false))
        sem_post(&governor.wake);
}

void memory_pace_slow(void)
{
    uint32_t wants = atomic_load(&memory_governor_wants);
    if (wants & WANTS_WAKING)
        wake_up();
    if (wants & WANTS_HELP) {
        help();
    } else if (wants & WANTS_LOOKS) {
        /* the governor may be at it, and may be waiting for a processor: below the limit nobody waits for it */
        int64_t resident = look(governor.statm);
        if (resident > governor.limit) {
            help();
        } else if (resident > governor.high && pthread_mutex_trylock(&governor.evicting) == 0) {
            (void)keep_below();
            pthread_mutex_unlock(&governor.evicting);
        }
    }
}

/* Memory was asked for. */
static void grown(int64_t bytes)
{
    int64_t total = atomic_fetch_add_explicit(&governor.grown, bytes, memory_order_relaxed) + bytes;
    if (LIKELY(total < governor.step))
        return;
    if (atomic_load_explicit(&governor.resident, memory_order_relaxed) + total > governor.limit)
        help();
    else if (atomic_load_explicit(&governor.is_asleep, memory_order_relaxed))
        wake_up();
}

/* Sleeps until somebody needs it, or for some time. */
static void rest(int64_t us)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while ((us > 0 ? sem_timedwait(&governor.wake, &until) : sem_wait(&governor.wake)) != 0 && errno == EINTR)
        continue;
}

static void *run_writer(void *arg)
{
    while (!atomic_load(&governor.is_stopping)) {
        while (sem_wait(&governor.has_writes) != 0)
            continue;
        write_out();
    }
    return NULL;
}

/* What was freed and not given back to the system is room that state could have. */
static void trim(void)
{
    int64_t now_ns = clock_monotonic_ns();
    if (atomic_load(&governor.rounds) == 0 || atomic_load(&governor.anonymous) < governor.limit / 4 ||
        now_ns - governor.trimmed_ns < TRIM_IDLE_NS)
        return;
    governor.trimmed_ns = now_ns;
    malloc_trim(0);
}

static void *run(void *arg)
{
    int64_t before = 0;
    uint32_t quiet = 0;
    /* where we may: a governor that waits for a processor lets memory grow meanwhile */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), -15);
    while (!atomic_load(&governor.is_stopping)) {
        pthread_mutex_lock(&governor.evicting);
        int64_t resident = keep_below();
        bool has_writes = governor.writes_count > 0;
        pthread_mutex_unlock(&governor.evicting);
        if (has_writes)
            sem_post(&governor.has_writes);
        trim();
        if (resident > governor.limit)
            atomic_fetch_or(&memory_governor_wants, WANTS_HELP);
        int64_t change = resident > before ? resident - before : before - resident;
        quiet = change < QUIET_BYTES ? quiet + 1 : 0;
        before = resident;
        bool has_taken = atomic_load(&governor.rounds) > 0;
        if (quiet >= QUIET_LOOKS || (!has_taken && resident < governor.limit / 2)) {
            /* pages that were never taken away do not come back: only new memory matters then */
            atomic_store(&governor.is_asleep, true);
            if (has_taken || resident > governor.limit / 2)
                atomic_fetch_or(&memory_governor_wants, WANTS_WAKING);
            rest(0);
            quiet = 0;
            continue;
        }
        int64_t us = (governor.limit - resident) / FAULT_BYTES_PER_US;
        rest(us < LOOK_MIN_US ? LOOK_MIN_US : us > LOOK_MAX_US ? LOOK_MAX_US : us);
    }
    return NULL;
}

void memory_governor_start(int64_t limit_bytes, struct account *root)
{
    CHECK(!atomic_load(&governor.is_running));
    governor.limit = limit_bytes;
    int64_t part = limit_bytes / 16, margin = limit_bytes / 8;
    margin = margin < MARGIN_BYTES ? margin : MARGIN_BYTES; /* what comes before anybody looks */
    governor.high = limit_bytes - (part > margin ? part : margin);
    governor.low = governor.high - part;
    governor.press = limit_bytes - limit_bytes / 4;
    governor.step = limit_bytes / 128;
    governor.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    governor.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    governor.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    governor.front = governor.back = 0;
    governor.trimmed_ns = 0;
    governor.writes_count = 0;
    atomic_store(&governor.rounds, 0);
    atomic_store(&governor.is_asleep, false);
    atomic_store(&governor.is_stopping, false);
    if (governor.statm < 0) {
        log_write(LOG_WARNING, "memory_limit has no effect: /proc/self/statm: %s", strerror(errno));
        return;
    }
    /* the program and its libraries are not to be had either */
    int64_t program = look(governor.statm) - atomic_load(&governor.anonymous);
    governor.press -= program < limit_bytes / 4 ? program : limit_bytes / 4;
    /* large blocks go back to the system when they are freed, and few threads keep heaps of their own */
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, 8);
    governor.root = root;
    root->grown = grown;
    CHECK(sem_init(&governor.wake, 0, 0) == 0 && sem_init(&governor.has_writes, 0, 0) == 0);
    CHECK(pthread_create(&governor.thread, NULL, run, NULL) == 0);
    CHECK(pthread_create(&governor.writer, NULL, run_writer, NULL) == 0);
    atomic_store(&governor.is_running, true);
}

void memory_governor_stop(void)
{
    if (atomic_exchange(&governor.is_running, false)) {
        governor.root->grown = NULL;
        atomic_store(&governor.is_stopping, true);
        sem_post(&governor.wake);
        pthread_join(governor.thread, NULL);
        sem_post(&governor.has_writes);
        pthread_join(governor.writer, NULL);
        sem_destroy(&governor.wake);
        sem_destroy(&governor.has_writes);
        atomic_store(&memory_governor_wants, 0);
        atomic_store(&governor.root->pressed, false);
        governor.root = NULL;
    }
    if (governor.statm >= 0)
        close(governor.statm);
    if (governor.pagemap >= 0)
        close(governor.pagemap);
    governor.statm = governor.pagemap = -1;
    mem_free(governor.samples);
    governor.samples = NULL;
    governor.samples_count = 0;
}

void memory_governor_stats(struct memory_governor_stats *out)
{
    *out = (struct memory_governor_stats){0};
    if (atomic_load(&governor.is_running)) {
        out->limit_bytes = governor.limit;
        look(governor.statm);
    } else {
        look_once();
    }
    out->resident_bytes = atomic_load(&governor.resident);
    out->anonymous_bytes = atomic_load(&governor.anonymous);
    out->rounds = atomic_load(&governor.rounds);
}
