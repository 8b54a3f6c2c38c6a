/* kafka_note.c: see kafka_note.h. */
#include "protocol/connector/kafka_note.h"

#include "storage/base/arena.h"

#include <cjson/cJSON.h>

#define FORMAT 2

void kafka_note_write(const struct kafka_note *note, struct strbuf *out)
{
    strbuf_addf(out, "{\"format\":%d,\"epoch\":%llu,\"rows\":%llu", FORMAT,
                (unsigned long long)note->to.epoch, (unsigned long long)note->to.rows);
    if (note->tells_where) {
        if (note->has_from)
            strbuf_addf(out, ",\"from\":[%llu,%llu]", (unsigned long long)note->from.epoch,
                        (unsigned long long)note->from.rows);
        strbuf_addf(out, ",\"partitions\":%d,\"last\":[", note->partitions);
        for (uint32_t i = 0; i < note->last_count; i++)
            strbuf_addf(out, "%s[%d,%lld]", i > 0 ? "," : "", note->last[i].partition,
                        (long long)note->last[i].offset);
        strbuf_addf(out, "],\"done\":[");
        const char *comma = "";
        for (int32_t i = 0; i < note->partitions && note->is_done != NULL; i++) {
            if (note->is_done[i]) {
                strbuf_addf(out, "%s%d", comma, i);
                comma = ",";
            }
        }
        strbuf_addf(out, "]");
    }
    strbuf_addf(out, "}");
}

/* A number of an array, below 2^53. */
static bool number_at(const cJSON *array, int index, int64_t below, int64_t *out)
{
    const cJSON *item = cJSON_GetArrayItem(array, index);
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble >= (double)below)
        return false;
    *out = (int64_t)item->valuedouble;
    return true;
}

/* Where the group's records are. */
static bool read_where(const cJSON *root, struct kafka_note *note)
{
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(root, "from");
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(root, "partitions");
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(root, "last");
    const cJSON *done = cJSON_GetObjectItemCaseSensitive(root, "done");
    int64_t epoch = 0, rows = 0, number = 0, offset = 0;
    if (!cJSON_IsNumber(partitions) || partitions->valuedouble < 1 || partitions->valuedouble > INT32_MAX ||
        !cJSON_IsArray(last) || !cJSON_IsArray(done))
        return false;
    note->tells_where = true;
    note->partitions = (int32_t)partitions->valuedouble;
    note->has_from = from != NULL;
    if (note->has_from && (!number_at(from, 0, INT64_MAX, &epoch) || !number_at(from, 1, INT64_MAX, &rows)))
        return false;
    note->from = (struct sink_progress){(uint64_t)epoch, (uint64_t)rows};
    note->last = mem_alloc(sizeof(*note->last) * (size_t)(cJSON_GetArraySize(last) + 1));
    note->is_done = cJSON_GetArraySize(done) > 0 ? mem_zalloc((size_t)note->partitions) : NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, last)
    {
        if (!number_at(item, 0, note->partitions, &number) || !number_at(item, 1, INT64_MAX, &offset))
            return false;
        note->last[note->last_count++] = (struct kafka_last){(int32_t)number, offset};
    }
    cJSON_ArrayForEach(item, done)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble >= note->partitions)
            return false;
        note->is_done[(int32_t)item->valuedouble] = true;
    }
    return true;
}

bool kafka_note_read(const void *text, size_t len, struct kafka_note *note)
{
    *note = (struct kafka_note){.tells_where = false};
    cJSON *root = cJSON_ParseWithLength(text, len);
    const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(root, "epoch");
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "rows");
    bool ok = cJSON_IsNumber(epoch) && cJSON_IsNumber(rows); /* below 2^53 both */
    if (ok)
        note->to = (struct sink_progress){(uint64_t)epoch->valuedouble, (uint64_t)rows->valuedouble};
    ok = ok && (cJSON_GetObjectItemCaseSensitive(root, "last") == NULL || read_where(root, note));
    cJSON_Delete(root);
    return ok;
}

void kafka_note_release(struct kafka_note *note)
{
    mem_free(note->last);
    mem_free(note->is_done);
}
