/* slot_pages.c: see slot_pages.h. */
#include "storage/state/slot_pages.h"

#define CHARGE_BYTES ((size_t)64 << 10) /* lazily backed chunks are charged in steps of this */

static uint32_t high_bit(uint32_t value)
{
    return 31 - (uint32_t)__builtin_clz(value);
}

void slot_pages_init(struct slot_pages *pages, uint32_t stride, uint32_t first, struct account *account)
{
    CHECK(stride >= 8 && stride % 8 == 0 && first > 0 && (first & (first - 1)) == 0);
    *pages =
        (struct slot_pages){.stride = stride, .first = first, .free_head = SLOT_NONE, .account = account};
}

void slot_pages_clear(struct slot_pages *pages)
{
    CHECK(pages->copies == NULL);
    for (uint32_t bit = high_bit(pages->first); bit < 32 && pages->capacity > 0; bit++) {
        uint32_t slots = UINT32_C(1) << bit;
        uintptr_t bias = (uintptr_t)slots * pages->stride;
        memory_unmap((void *)(pages->biased[bit] + bias), (size_t)slots * pages->stride);
        pages->biased[bit] = 0;
        pages->capacity -= slots;
    }
    bool is_tracked = pages->dirty != NULL;
    mem_free(pages->dirty);
    mem_free(pages->taken);
    pages->dirty = pages->taken = NULL;
    account_charge(pages->account, -pages->charged);
    pages->charged = 0;
    pages->used = 0;
    pages->live = 0;
    pages->free_head = SLOT_NONE;
    pages->dirty_words = 0;
    if (is_tracked)
        slot_pages_track(pages);
}

void slot_pages_release(struct slot_pages *pages)
{
    mem_free(pages->dirty);
    pages->dirty = NULL; /* or it would go on being tracked */
    pages->copies = NULL;
    slot_pages_clear(pages);
}

static void charge(struct slot_pages *pages, int64_t bytes)
{
    pages->charged += bytes;
    account_charge(pages->account, bytes);
}

/* ---- tracking ---- */

static void grow_dirty(struct slot_pages *pages)
{
    uint32_t words = pages->capacity / 64 + 1;
    if (words <= pages->dirty_words)
        return;
    pages->dirty = mem_realloc(pages->dirty, sizeof(uint64_t) * words);
    memset(pages->dirty + pages->dirty_words, 0, sizeof(uint64_t) * (words - pages->dirty_words));
    if (pages->taken != NULL) {
        pages->taken = mem_realloc(pages->taken, sizeof(uint64_t) * words);
        memset(pages->taken + pages->dirty_words, 0, sizeof(uint64_t) * (words - pages->dirty_words));
    }
    charge(pages, (int64_t)sizeof(uint64_t) * (words - pages->dirty_words));
    pages->dirty_words = words;
}

void slot_pages_mark_whole(struct slot_pages *pages)
{
    pages->is_whole = true;
    for (uint32_t word = 0; word < pages->used / 64; word++)
        pages->dirty[word] = UINT64_MAX;
    if (pages->used % 64 != 0)
        pages->dirty[pages->used / 64] |= (UINT64_C(1) << (pages->used % 64)) - 1;
}

void slot_pages_take_dirty(struct slot_pages *pages, uint32_t word)
{
    if (pages->taken == NULL)
        pages->taken = mem_zalloc(sizeof(uint64_t) * pages->dirty_words);
    pages->taken[word] |= pages->dirty[word];
    pages->dirty[word] = 0;
}

void slot_pages_take_whole(struct slot_pages *pages)
{
    pages->is_whole = false;
    pages->taken_whole = true;
    pages->saved_taken = 0;
}

void slot_pages_settle(struct slot_pages *pages, bool valid)
{
    if (valid) {
        pages->saved_since = pages->taken_whole ? 0 : pages->saved_since + pages->saved_taken;
        pages->saved_live = pages->taken_whole ? pages->saved_taken : pages->saved_live;
    } else {
        for (uint32_t word = 0; pages->taken != NULL && word < pages->dirty_words; word++)
            pages->dirty[word] |= pages->taken[word];
        pages->is_whole |= pages->taken_whole;
    }
    mem_free(pages->taken);
    pages->taken = NULL;
    pages->taken_whole = false;
    pages->saved_taken = 0;
}

void slot_pages_track(struct slot_pages *pages)
{
    if (pages->dirty != NULL)
        return;
    grow_dirty(pages);
    slot_pages_mark_whole(pages);
}

static void add_chunk(struct slot_pages *pages)
{
    uint32_t slots = pages->capacity + pages->first;
    CHECK(slots > 0 && slots < UINT32_C(1) << 31);
    size_t bytes = (size_t)slots * pages->stride;
    uintptr_t chunk = (uintptr_t)memory_map(bytes, MEMORY_HUGE | MEMORY_GROWS);
    pages->biased[high_bit(slots)] = chunk - (uintptr_t)slots * pages->stride;
    pages->capacity += slots;
    if (!memory_is_lazy(bytes))
        charge(pages, (int64_t)bytes);
    if (pages->dirty != NULL)
        grow_dirty(pages);
}

/* Bytes [begin, end) of the chunk that begins with slot number `slots` - first get into use: what they cost. Where
 * they are backed lazily they are paid for step by step. */
static int64_t use_bytes(const struct slot_pages *pages, uint32_t slots, size_t begin, size_t end)
{
    size_t chunk_bytes = (size_t)slots * pages->stride;
    if (!memory_is_lazy(chunk_bytes))
        return 0;
    size_t paid = (begin + CHARGE_BYTES - 1) / CHARGE_BYTES, due = (end + CHARGE_BYTES - 1) / CHARGE_BYTES;
    if (due == paid)
        return 0;
    size_t used = due * CHARGE_BYTES;
    void *chunk = (void *)(pages->biased[high_bit(slots)] + (uintptr_t)slots * pages->stride);
    memory_grow(chunk, chunk_bytes, used < chunk_bytes ? used : chunk_bytes);
    return (int64_t)((due - paid) * CHARGE_BYTES);
}

/* What a slot has added to the cost of its chunk. */
static int64_t slot_cost(const struct slot_pages *pages, uint32_t slot)
{
    uint32_t biased = slot + pages->first;
    uint32_t chunk_slots = UINT32_C(1) << high_bit(biased);
    if (!memory_is_lazy((size_t)chunk_slots * pages->stride))
        return 0;
    size_t begin = (size_t)(biased - chunk_slots) * pages->stride, end = begin + pages->stride;
    size_t paid = (begin + CHARGE_BYTES - 1) / CHARGE_BYTES, due = (end + CHARGE_BYTES - 1) / CHARGE_BYTES;
    return (int64_t)((due - paid) * CHARGE_BYTES);
}

uint32_t slot_pages_alloc(struct slot_pages *pages)
{
    pages->live++;
    uint32_t slot = pages->free_head;
    if (slot != SLOT_NONE) {
        memcpy(&pages->free_head, (uint8_t *)slot_pages_at(pages, slot) + 4, sizeof(uint32_t));
        slot_pages_touch(pages, slot);
        return slot;
    }
    if (UNLIKELY(pages->used == pages->capacity))
        add_chunk(pages);
    slot = pages->used++;
    slot_pages_touch(pages, slot);
    uint32_t biased = slot + pages->first, chunk_slots = UINT32_C(1) << high_bit(biased);
    size_t begin = (size_t)(biased - chunk_slots) * pages->stride;
    int64_t cost = use_bytes(pages, chunk_slots, begin, begin + pages->stride);
    if (UNLIKELY(cost > 0))
        charge(pages, cost);
    return slot;
}

uint32_t slot_pages_extend(struct slot_pages *pages, uint32_t count)
{
    CHECK(pages->free_head == SLOT_NONE);
    uint32_t first_slot = pages->used;
    pages->live += count;
    while (count > 0) {
        if (UNLIKELY(pages->used == pages->capacity))
            add_chunk(pages);
        uint32_t biased = pages->used + pages->first;
        uint32_t chunk_slots = UINT32_C(1) << high_bit(biased);
        uint32_t room = 2 * chunk_slots - biased, piece = count < room ? count : room;
        size_t begin = (size_t)(biased - chunk_slots) * pages->stride;
        int64_t cost = use_bytes(pages, chunk_slots, begin, begin + (size_t)piece * pages->stride);
        if (cost > 0)
            charge(pages, cost);
        pages->used += piece;
        count -= piece;
    }
    if (pages->dirty != NULL) {
        for (uint32_t slot = first_slot; slot < pages->used; slot++)
            slot_pages_touch(pages, slot);
    }
    return first_slot;
}

void slot_pages_free(struct slot_pages *pages, uint32_t slot)
{
    uint8_t *bytes = slot_pages_at(pages, slot);
    slot_set_header(bytes, 0);
    memcpy(bytes + 4, &pages->free_head, sizeof(uint32_t));
    pages->free_head = slot;
    pages->live--;
    slot_pages_touch(pages, slot);
}

void slot_pages_pop(struct slot_pages *pages)
{
    CHECK(pages->used > 0 && pages->free_head == SLOT_NONE);
    CHECK(pages->dirty == NULL && pages->copies == NULL); /* a number that is no more could not be told */
    pages->used--;
    pages->live--;
    int64_t cost = slot_cost(pages, pages->used);
    if (UNLIKELY(cost > 0))
        charge(pages, -cost);
}

static void use_up_to(struct slot_pages *pages, uint32_t used)
{
    while (pages->used < used) {
        if (pages->used == pages->capacity)
            add_chunk(pages);
        uint32_t biased = pages->used + pages->first;
        uint32_t chunk_slots = UINT32_C(1) << high_bit(biased);
        uint32_t room = 2 * chunk_slots - biased,
                 piece = used - pages->used < room ? used - pages->used : room;
        size_t begin = (size_t)(biased - chunk_slots) * pages->stride;
        int64_t cost = use_bytes(pages, chunk_slots, begin, begin + (size_t)piece * pages->stride);
        if (cost > 0)
            charge(pages, cost);
        pages->used += piece;
    }
}

/* ---- copying ---- */

static void charge_copies(struct slot_copies *copies, size_t bytes)
{
    copies->charged += (int64_t)bytes;
    account_charge(copies->pages.account, (int64_t)bytes);
}

void slot_pages_note(struct slot_pages *pages, uint32_t slot)
{
    struct slot_copies *copies = pages->copies;
    if (slot >= copies->copied)
        return;
    uint64_t *word = &copies->is_changed[slot >> 6], bit = UINT64_C(1) << (slot & 63);
    if (*word & bit)
        return;
    *word |= bit;
    if (copies->changed_count == copies->changed_cap) {
        uint32_t cap = copies->changed_cap ? copies->changed_cap * 2 : 64;
        copies->changed = mem_realloc(copies->changed, sizeof(*copies->changed) * cap);
        charge_copies(copies, sizeof(*copies->changed) * (cap - copies->changed_cap));
        copies->changed_cap = cap;
    }
    copies->changed[copies->changed_count++] = slot;
    copies->noted++;
}

void slot_pages_begin_copy(struct slot_pages *pages, uint32_t stride, struct slot_copies *copies)
{
    CHECK(pages->copies == NULL);
    *copies = (struct slot_copies){.copied = 0};
    slot_pages_init(&copies->pages, stride, pages->first, pages->account);
    pages->copies = copies;
}

static void grow_copies(struct slot_copies *copies, uint32_t used)
{
    use_up_to(&copies->pages, used);
    uint32_t words = copies->pages.capacity / 64 + 1;
    if (words <= copies->words)
        return;
    copies->is_changed = mem_realloc(copies->is_changed, sizeof(*copies->is_changed) * words);
    memset(copies->is_changed + copies->words, 0, sizeof(*copies->is_changed) * (words - copies->words));
    charge_copies(copies, sizeof(*copies->is_changed) * (words - copies->words));
    copies->words = words;
}

uint32_t slot_pages_next_copies(struct slot_pages *pages, uint32_t *slots, uint32_t max)
{
    struct slot_copies *copies = pages->copies;
    uint32_t count = 0, fresh = pages->used - copies->copied;
    if (fresh > 0) {
        grow_copies(copies, copies->copied + (fresh < max ? fresh : max));
        while (copies->copied < copies->pages.used)
            slots[count++] = copies->copied++;
    }
    while (count < max && copies->changed_count > 0) {
        uint32_t slot = copies->changed[--copies->changed_count];
        copies->is_changed[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
        slots[count++] = slot;
    }
    return count;
}

void slot_pages_end_copy(struct slot_pages *pages)
{
    struct slot_copies *copies = pages->copies;
    CHECK(slot_pages_copies_left(pages) == 0 && copies->pages.used == pages->used);
    int64_t tracking = (int64_t)sizeof(uint64_t) * pages->dirty_words;
    struct slot_pages old = *pages;
    *pages = copies->pages;
    pages->free_head = old.free_head;
    pages->live = old.live;
    pages->charged += tracking;
    pages->dirty = old.dirty;
    pages->taken = old.taken;
    pages->dirty_words = old.dirty_words;
    pages->is_whole = old.is_whole;
    pages->taken_whole = old.taken_whole;
    pages->saved_live = old.saved_live;
    pages->saved_since = old.saved_since;
    pages->saved_taken = old.saved_taken;
    old.charged -= tracking;
    old.dirty = old.taken = NULL;
    old.copies = NULL;
    copies->pages = old;
    if (pages->dirty != NULL)
        grow_dirty(pages);
}

void slot_pages_drop_copy(struct slot_pages *pages)
{
    pages->copies = NULL;
}

void slot_copies_release(struct slot_copies *copies)
{
    slot_pages_release(&copies->pages);
    mem_free(copies->changed);
    mem_free(copies->is_changed);
    account_charge(copies->pages.account, -copies->charged);
}

/* ---- restoring ---- */

void slot_pages_restore_begin(struct slot_pages *pages, uint32_t used)
{
    CHECK(pages->dirty == NULL && pages->live == pages->used);
    use_up_to(pages, used);
}

void slot_pages_take(struct slot_pages *pages, uint32_t slot)
{
    CHECK(slot < pages->used);
    pages->live++;
}

void slot_pages_restore_end(struct slot_pages *pages)
{
    for (uint32_t slot = pages->used; slot-- > 0;) {
        uint8_t *bytes = slot_pages_at(pages, slot);
        if (slot_header(bytes) != 0)
            continue;
        memcpy(bytes + 4, &pages->free_head, sizeof(uint32_t));
        pages->free_head = slot;
    }
    grow_dirty(pages);
    memset(pages->dirty, 0, sizeof(uint64_t) * pages->dirty_words);
    pages->is_whole = false;
    pages->saved_live = pages->live;
}
