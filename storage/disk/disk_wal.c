/* disk_wal.c: see disk_wal.h. The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
#include "storage/disk/disk_wal.h"

#include "storage/base/arena.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define WAL_HEADER_BYTES   32u
#define FRAME_HEADER_BYTES 24u
#define WAL_MAGIC          0x377f0682u /* the lowest bit: checksums of big-endian words */
#define CHUNK_BYTES        ((size_t)1 << 20)

/* All that is in the mark's file; within one sector. */
struct mark_bytes {
    uint8_t salt[8];
    uint64_t end; /* 0: there is no WAL */
    uint64_t checksum;
};

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint64_t mark_checksum(const struct mark_bytes *bytes)
{
    return XXH3_64bits(bytes, offsetof(struct mark_bytes, checksum));
}

static char *mark_path(const char *wal_path)
{
    size_t len = strlen(wal_path);
    char *path = mem_alloc(len + sizeof("-mark"));
    memcpy(path, wal_path, len);
    memcpy(path + len, "-mark", sizeof("-mark"));
    return path;
}

/* ---- writing ---- */

static int put_mark(struct wal_mark *mark, uint64_t end, bool sync)
{
    struct disk *disk = disk_current();
    int code = mark->file != NULL ? 0 : disk->open(disk, mark->path, DISK_WRITE | DISK_CREATE, &mark->file);
    if (code != 0)
        return code;
    struct mark_bytes bytes = {.end = end};
    memcpy(bytes.salt, mark->salt, sizeof(bytes.salt));
    bytes.checksum = mark_checksum(&bytes);
    code = disk->write(mark->file, &bytes, sizeof(bytes), 0);
    if (code == 0 && sync)
        code = disk->sync(mark->file);
    if (code == 0)
        mark->marked = end;
    return code;
}

void wal_mark_open(struct wal_mark *mark, const char *wal_path)
{
    *mark = (struct wal_mark){.path = mark_path(wal_path)};
}

void wal_mark_close(struct wal_mark *mark)
{
    disk_close(mark->file);
    mem_free(mark->path);
    *mark = (struct wal_mark){NULL};
}

int wal_mark_write(struct wal_mark *mark, const void *data, size_t bytes, uint64_t offset)
{
    const uint8_t *head = data;
    if (offset == 0 && bytes >= WAL_HEADER_BYTES) { /* everything before is in the database by now */
        mark->page_bytes = get_u32(head + 8);
        memcpy(mark->salt, head + 16, sizeof(mark->salt));
        mark->committed = mark->marked = 0;
        return 0;
    }
    uint64_t frame_bytes = FRAME_HEADER_BYTES + (uint64_t)mark->page_bytes;
    if (mark->page_bytes == 0 || bytes != FRAME_HEADER_BYTES ||
        (offset - WAL_HEADER_BYTES) % frame_bytes != 0)
        return 0;
    int code = 0;
    if (offset < mark->marked) /* a commit that was given up is written over */
        code = put_mark(mark, offset, true);
    if (offset < mark->committed)
        mark->committed = offset;
    if (get_u32(head + 4) != 0) /* the database's size: this frame ends a commit */
        mark->committed = offset + frame_bytes;
    return code;
}

void wal_mark_synced(struct wal_mark *mark)
{
    if (mark->committed > mark->marked)
        (void)put_mark(mark, mark->committed, false); /* an older one does no harm */
}

int wal_mark_cut(struct wal_mark *mark, uint64_t bytes)
{
    if (mark->committed > bytes)
        mark->committed = bytes;
    return put_mark(mark, bytes < WAL_HEADER_BYTES ? 0 : bytes, true);
}

int wal_mark_clear(const char *wal_path)
{
    struct wal_mark mark;
    struct disk_info info;
    struct disk *disk = disk_current();
    wal_mark_open(&mark, wal_path);
    int code = disk->info(disk, mark.path, &info) == 0 ? put_mark(&mark, 0, true) : 0;
    wal_mark_close(&mark);
    return code;
}

/* ---- reading ---- */

struct wal_reader {
    const char *path;
    struct disk_file *file;
    uint8_t *chunk;
    uint32_t sums[2];
    bool big_endian;
};

static void add_to_sums(struct wal_reader *reader, const uint8_t *bytes, size_t len)
{
    uint32_t a = reader->sums[0], b = reader->sums[1];
    for (size_t i = 0; i < len; i += 8) {
        uint32_t words[2];
        memcpy(words, bytes + i, sizeof(words));
        if (reader->big_endian) {
            words[0] = get_u32(bytes + i);
            words[1] = get_u32(bytes + i + 4);
        }
        a += words[0] + b;
        b += words[1] + a;
    }
    reader->sums[0] = a;
    reader->sums[1] = b;
}

/* The end of the last frame that fits; 0: the header does not. */
static bool valid_end(struct wal_reader *reader, uint64_t bytes, uint8_t salt[8], uint64_t *end,
                      struct error *err)
{
    uint8_t *header = reader->chunk;
    *end = 0;
    if (bytes < WAL_HEADER_BYTES)
        return true;
    if (!disk_read(reader->file, reader->path, header, WAL_HEADER_BYTES, 0, err))
        return false;
    uint32_t magic = get_u32(header), page_bytes = get_u32(header + 8);
    reader->big_endian = magic & 1;
    reader->sums[0] = reader->sums[1] = 0;
    add_to_sums(reader, header, 24);
    if ((magic & ~1u) != WAL_MAGIC || get_u32(header + 24) != reader->sums[0] ||
        get_u32(header + 28) != reader->sums[1] || page_bytes < 512 || page_bytes > 65536)
        return true;
    memcpy(salt, header + 16, 8);
    *end = WAL_HEADER_BYTES;
    uint64_t frame_bytes = FRAME_HEADER_BYTES + (uint64_t)page_bytes;
    for (; bytes - *end >= frame_bytes; *end += frame_bytes) {
        uint8_t *frame = reader->chunk;
        if (!disk_read(reader->file, reader->path, frame, (size_t)frame_bytes, *end, err))
            return false;
        add_to_sums(reader, frame, 8);
        add_to_sums(reader, frame + FRAME_HEADER_BYTES, page_bytes);
        if (memcmp(frame + 8, salt, 8) != 0 || get_u32(frame + 16) != reader->sums[0] ||
            get_u32(frame + 20) != reader->sums[1])
            break;
    }
    return true;
}

/* false in *found: none that can be read, which is harmless. */
static bool read_mark(const char *wal_path, struct mark_bytes *bytes, bool *found, struct error *err)
{
    char *path = mark_path(wal_path);
    struct disk_file *file = NULL;
    *found = false;
    bool ok = true;
    if (disk_exists(path)) {
        ok = disk_open(path, DISK_READ, &file, err);
        size_t got = 0;
        int code = ok ? file->disk->read(file, bytes, sizeof(*bytes), 0, &got) : 0;
        if (code != 0)
            ok = disk_error(code, "read", path, err);
        *found = ok && got == sizeof(*bytes) && bytes->checksum == mark_checksum(bytes);
    }
    disk_close(file);
    mem_free(path);
    return ok;
}

static bool check_wal(struct wal_reader *reader, uint64_t bytes, struct error *err)
{
    struct mark_bytes mark;
    bool found;
    uint8_t salt[8];
    uint64_t end;
    if (!read_mark(reader->path, &mark, &found, err) || !valid_end(reader, bytes, salt, &end, err))
        return false;
    if (!found || mark.end == 0)
        return true;
    if (end == 0)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is damaged: its beginning is gone",
                         reader->path);
    if (memcmp(salt, mark.salt, sizeof(salt)) == 0 && end < mark.end)
        return error_set(
            err, ERRCODE_DATA_CORRUPTED,
            "file \"%s\" is damaged at byte %llu: what was written before byte %llu was complete once",
            reader->path, (unsigned long long)end, (unsigned long long)mark.end);
    return true;
}

static bool write_again(struct wal_reader *reader, uint64_t bytes, struct error *err)
{
    bool ok = true;
    for (uint64_t at = 0; ok && at < bytes; at += CHUNK_BYTES) {
        size_t part = bytes - at < CHUNK_BYTES ? (size_t)(bytes - at) : CHUNK_BYTES;
        ok = disk_read(reader->file, reader->path, reader->chunk, part, at, err) &&
             disk_write(reader->file, reader->path, reader->chunk, part, at, err);
    }
    return ok && disk_sync(reader->file, reader->path, err);
}

bool wal_settle(const char *wal_path, struct error *err)
{
    struct wal_reader reader = {.path = wal_path};
    struct mark_bytes mark;
    bool found;
    if (!disk_exists(wal_path)) {
        if (!read_mark(wal_path, &mark, &found, err))
            return false;
        if (found && mark.end > 0)
            return error_set(err, ERRCODE_DATA_CORRUPTED,
                             "the data directory is incomplete: file \"%s\" is missing", wal_path);
        return true;
    }
    uint64_t bytes;
    if (!disk_size(wal_path, &bytes, err) || !disk_open(wal_path, DISK_WRITE, &reader.file, err))
        return false;
    reader.chunk = mem_alloc(CHUNK_BYTES);
    bool ok = check_wal(&reader, bytes, err) && (bytes == 0 || write_again(&reader, bytes, err));
    mem_free(reader.chunk);
    disk_close(reader.file);
    return ok;
}
