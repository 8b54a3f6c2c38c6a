/* arena.h: memory with a named life, and its account.
 *
 * Every allocation belongs to an arena (statement, batch, tick, view, connection); the whole arena is freed
 * or reset at once. Arenas charge an account; accounts form a tree (operator -> view -> server) so that every
 * byte is known and a limit can be enforced on any level.
 *
 * An arena belongs to one thread at a time. Accounts are shared: their counters are atomic. Running over an account's
 * limit does not fail the allocation but sets the account's `exceeded` flag, which loops test once per batch with
 * account_check (SQLSTATE 53200).
 *
 * When the system refuses memory, a reserve is given up, and account_check ends the statements that hold much; the
 * reserve is taken again when there is room for it. With nothing left to give up the process ends (mem_refused). */
#ifndef MILLRACE_BASE_ARENA_H
#define MILLRACE_BASE_ARENA_H

#include "storage/base/check.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct account {
    struct account *parent; /* NULL at the root */
    const char *name;       /* for messages; borrowed, outlives the account */
    _Atomic int64_t used_bytes;
    _Atomic int64_t peak_bytes;
    int64_t limit_bytes; /* 0: no limit of its own */
    _Atomic bool exceeded;
    /* What a view keeps: it answers for its own limit and for nobody else's, so that one greedy statement does not
     * stop views. */
    bool is_state;
    /* Of the root, from whoever watches the whole process; NULL, false: nobody does. */
    void (*grown)(int64_t bytes); /* any thread, for each charge above 0 */
    _Atomic bool pressed;         /* memory is short: statements that hold ACCOUNT_LARGE_BYTES are to end */
};

#define ACCOUNT_LARGE_BYTES (INT64_C(4) << 20)

void account_init(struct account *account, struct account *parent, const char *name, int64_t limit_bytes);
/* Adds `bytes` (may be negative) here and in every parent. NULL account: nothing happens. Any thread. */
void account_charge(struct account *account, int64_t bytes);
/* false with 53200: the account, which is named, or a parent stands above its limit; or a root is pressed, or the system
 * refuses memory, and the asking account holds ACCOUNT_LARGE_BYTES. */
MUST_CHECK
bool account_check(const struct account *account, struct error *err);

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    uint8_t *next;
    uint8_t *end;
    size_t block_bytes; /* size of the next block, doubling up to ARENA_BLOCK_MAX */
    size_t total_bytes;
    struct account *account;
};

void arena_init(struct arena *arena, struct account *account);
/* Frees everything. The arena may be used again after it. */
void arena_release(struct arena *arena);
/* Frees all but the largest block and starts again from empty: for arenas that are reused per batch or
 * tick. */
void arena_reset(struct arena *arena);

void *arena_alloc_slow(struct arena *arena, size_t bytes);

/* Uninitialised memory, 16-byte aligned, never NULL. bytes may be 0. */
static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
    bytes += bytes == 0; /* an address of its own, in an empty arena too */
    size_t rounded = (bytes + 15) & ~(size_t)15;
    if (LIKELY((size_t)(arena->end - arena->next) >= rounded)) {
        void *result = arena->next;
        arena->next += rounded;
        return result;
    }
    return arena_alloc_slow(arena, bytes);
}

void *arena_zalloc(struct arena *arena, size_t bytes);
void *arena_copy(struct arena *arena, const void *data, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
/* NUL-terminated copy of text[0..len). */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args);
/* Grows an array: returns a block of new_bytes that starts with the old old_bytes. */
void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes);

#define ARENA_NEW(arena, type)          ((type *)arena_zalloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_zalloc((arena), sizeof(type) * (size_t)(count)))

/* malloc family that never returns NULL (mem_refused instead): for the few objects that outlive arenas. */
void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t bytes);
void *mem_realloc(void *old, size_t bytes);
char *mem_strdup(const char *text);
void mem_free(void *data);

/* Exit status of a process that was refused memory: EX_OSERR. */
#define MEM_REFUSED_EXIT 71
/* Says so on stderr and ends the process at once, as a kill would: what is acknowledged is on disk. */
_Noreturn void mem_refused(size_t bytes);
/* Puts aside address space that nobody touches, to be given up when the system refuses more. */
void mem_keep_reserve(void);
/* The reserve is gone; taken again by the call if there is room for it. Any thread. */
bool mem_is_short(void);
/* For malloc and mmap elsewhere: how often the reserve was given up, to be asked before; and after a refusal, whether it is
 * worth another try, since it was given up in between or is now. Any thread. */
uint64_t mem_given(void);
bool mem_try_again(uint64_t *given);

/* Appends to a growable arena array held as `type *items; uint32_t count, cap`. */
#define ARENA_PUSH(arena, items, count, cap, value)                                                          \
    do {                                                                                                     \
        if ((count) == (cap)) {                                                                              \
            size_t arena_push_old_ = (size_t)(cap) * sizeof(*(items));                                       \
            (cap) = (cap) ? (cap)*2 : 8;                                                                     \
            (items) = arena_grow((arena), (items), arena_push_old_, (size_t)(cap) * sizeof(*(items)));       \
        }                                                                                                    \
        (items)[(count)++] = (value);                                                                        \
    } while (0)

#endif
