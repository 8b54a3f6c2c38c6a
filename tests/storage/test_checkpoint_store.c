/* test_checkpoint_store.c: what is read back is the newest valid checkpoint, whatever one that was not finished has left in the
 * file. */
#include "storage/disk/catalog_store.h"
#include "storage/disk/checkpoint_store.h"
#include "tests/test.h"

#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 300000, PIECE = 1000 }; /* more than fits into one transaction of pieces */

static const struct sql_type types[2] = {{OID_INT4, -1}, {OID_TEXT, -1}};

/* Rows first to first + PIECE: their number, and a text that says which checkpoint they are of and does not compress well. */
static struct checkpoint_piece *piece_of(enum piece_kind kind, const char *table, uint32_t first,
                                         uint32_t mark)
{
    struct checkpoint_piece *piece = checkpoint_piece_new(NULL);
    piece->owner = "r1";
    piece->table = table;
    piece->version = 1;
    piece->kind = kind;
    piece->first = first;
    if (kind == PIECE_VOID || kind == PIECE_FRONT)
        return piece;
    if (kind == PIECE_REST) {
        piece->rest = arena_copy(&piece->arena, &mark, sizeof(mark));
        piece->rest_bytes = sizeof(mark);
        return piece;
    }
    struct batch *rows = batch_create(&piece->arena, types, 2, PIECE);
    uint32_t *slots = arena_alloc(&piece->arena, sizeof(*slots) * PIECE);
    for (uint32_t i = 0; i < PIECE; i++) {
        struct strbuf text = STRBUF_INIT;
        uint64_t noise = (first + i) * UINT64_C(0x9e3779b97f4a7c15) * (mark + 1);
        strbuf_addf(&text, "%u %016llx%016llx", mark, (unsigned long long)noise,
                    (unsigned long long)(noise * noise));
        struct datum values[2] = {datum_i32((int32_t)(first + i)),
                                  {.var = varlen_view((const uint8_t *)text.data, (uint32_t)text.len)}};
        batch_append_datums(rows, values, 1);
        strbuf_release(&text);
        slots[i] = first + i;
    }
    piece->rows = rows;
    piece->slots = kind == PIECE_SLOTS ? slots : NULL;
    return piece;
}

struct found {
    uint32_t rows, wrong, mark;
    bool begun;
};

static void begin(void *ctx, uint32_t used)
{
    struct found *found = ctx;
    found->begun = true;
    EXPECT_INT(used, ROWS);
}

static bool visit(void *ctx, const uint32_t *slots, uint64_t first, const struct batch *rows,
                  uint32_t version, struct error *err)
{
    struct found *found = ctx;
    (void)err;
    EXPECT_INT(version, 1);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct datum number = column_get(&rows->columns[0], i), text = column_get(&rows->columns[1], i);
        uint32_t expected = slots != NULL ? slots[i] : (uint32_t)first + i;
        found->wrong += (uint32_t)number.i32 != expected ||
                        strtoul((const char *)varlen_bytes(&text.var), NULL, 10) != found->mark;
    }
    found->rows += rows->rows;
    return true;
}

static void put_all(struct checkpoint_store *store, uint32_t mark, uint32_t rows)
{
    struct error err;
    bool ok = checkpoint_store_put(store, piece_of(PIECE_VOID, "slots", 0, mark), &err);
    for (uint32_t first = 0; ok && first < rows; first += PIECE)
        ok = checkpoint_store_put(store, piece_of(PIECE_SLOTS, "slots", first, mark), &err);
    if (mark > 1)
        ok = ok && checkpoint_store_put(store, piece_of(PIECE_FRONT, "rows", ROWS, mark), &err);
    for (uint32_t first = mark > 1 ? ROWS : 0; ok && first < (mark > 1 ? ROWS : 0) + rows; first += PIECE)
        ok = checkpoint_store_put(store, piece_of(PIECE_ROWS, "rows", first, mark), &err);
    ok = ok && checkpoint_store_put(store, piece_of(PIECE_REST, "", 0, mark), &err);
    EXPECT(ok);
}

/* All of the checkpoint with this mark, and nothing else. */
static void check(struct checkpoint_store *store, uint32_t mark)
{
    struct error err;
    struct arena arena;
    arena_init(&arena, NULL);
    struct found slots = {.mark = mark}, rows = {.mark = mark};
    const struct checkpoint_visitor of_slots = {&slots, begin, visit}, of_rows = {&rows, begin, visit};
    EXPECT(checkpoint_store_read(store, "r1", 0, "slots", types, 2, 2, &of_slots, &err));
    EXPECT(checkpoint_store_read(store, "r1", 0, "rows", types, 2, 2, &of_rows, &err));
    EXPECT_INT(slots.rows, ROWS);
    EXPECT_INT(rows.rows, ROWS);
    EXPECT_INT(slots.wrong + rows.wrong, 0);
    EXPECT(slots.begun && !rows.begun);
    const void *rest;
    size_t bytes;
    EXPECT(checkpoint_store_read_rest(store, "r1", 0, &arena, &rest, &bytes, &err));
    EXPECT_INT(bytes, sizeof(mark));
    EXPECT(rest != NULL && memcmp(rest, &mark, sizeof(mark)) == 0);
    arena_release(&arena);
}

TEST(unfinished)
{
    static const char *const owners[] = {"r1"};
    char dir[] = "/tmp/millrace-test.XXXXXX";
    struct error err;
    EXPECT(mkdtemp(dir) != NULL);
    char path[64], command[96];
    snprintf(path, sizeof(path), "%s/data", dir);
    for (uint32_t round = 0; round < 3; round++) {
        struct catalog_store *catalog;
        struct checkpoint_store *store;
        struct checkpoint_info info = {.epoch = round + 1, .shards = 1};
        EXPECT(catalog_store_open(path, &catalog, &err));
        EXPECT(checkpoint_store_open(catalog, &store, &err));
        if (round > 0)
            check(store, 1);
        EXPECT(checkpoint_store_begin(store, &err));
        put_all(store, round + 1, ROWS);
        if (round == 0)
            EXPECT(checkpoint_store_commit(store, owners, 1, &info, &err));
        else
            checkpoint_store_abort(store); /* what was put so far is in the file, as after a crash */
        checkpoint_store_close(store);
        catalog_store_close(catalog);
    }
    snprintf(command, sizeof(command), "rm -r '%s'", dir);
    EXPECT(system(command) == 0);
}

int main(void)
{
    RUN(unfinished);
    return test_result();
}
