/* message.c: the buffered socket. See message.h. */
#define _GNU_SOURCE /* POLLRDHUP */
#include "protocol/pgwire/message.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/limits.h"
#include "storage/state/state_memory.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define READ_BYTES   (16u << 10) /* least room for one recv */
#define SHRINK_BYTES (1u << 20)  /* larger buffers are given back once empty */

void wire_init(struct wire *wire, int fd)
{
    *wire = (struct wire){.fd = fd};
}

void wire_release(struct wire *wire)
{
    mem_free(wire->in);
    wire->in = NULL;
    wire->in_start = wire->in_end = wire->in_cap = 0;
    strbuf_release(&wire->out);
}

void wire_interrupt(int fd)
{
    shutdown(fd, SHUT_RD);
}

/* Waits until the socket can be read. */
static enum wire_result wire_wait(struct wire *wire, int64_t deadline_ns)
{
    if (deadline_ns == 0)
        return WIRE_OK;
    for (;;) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            return WIRE_TIMEOUT;
        int64_t left_ms = left_ns / 1000000 + 1;
        struct pollfd item = {.fd = wire->fd, .events = POLLIN};
        int ready = poll(&item, 1, left_ms > 3600000 ? 3600000 : (int)left_ms);
        if (ready > 0)
            return WIRE_OK;
        if (ready < 0 && errno != EINTR)
            return WIRE_CLOSED;
    }
}

/* Reads at least one more byte. */
static enum wire_result wire_fill(struct wire *wire, int64_t deadline_ns)
{
    if (wire->in_start == wire->in_end) {
        wire->in_start = wire->in_end = 0;
        if (wire->in_cap > SHRINK_BYTES) {
            mem_free(wire->in);
            wire->in = NULL;
            wire->in_cap = 0;
        }
    }
    if (wire->in_cap - wire->in_end < READ_BYTES) {
        size_t held = wire->in_end - wire->in_start;
        if (wire->in_start >= READ_BYTES && wire->in_start >= held) {
            memmove(wire->in, wire->in + wire->in_start, held);
            wire->in_start = 0;
            wire->in_end = held;
        } else {
            wire->in_cap = wire->in_cap == 0 ? READ_BYTES : wire->in_cap * 2;
            wire->in = mem_realloc(wire->in, wire->in_cap);
        }
    }
    for (;;) {
        enum wire_result waited = wire_wait(wire, deadline_ns);
        if (waited != WIRE_OK)
            return waited;
        ssize_t got = recv(wire->fd, wire->in + wire->in_end, wire->in_cap - wire->in_end, 0);
        if (got > 0) {
            wire->in_end += (size_t)got;
            return WIRE_OK;
        }
        if (got < 0 && errno == EINTR)
            continue;
        return WIRE_CLOSED;
    }
}

static enum wire_result wire_need(struct wire *wire, int64_t deadline_ns, size_t bytes)
{
    while (wire->in_end - wire->in_start < bytes) {
        enum wire_result result = wire_fill(wire, deadline_ns);
        if (result != WIRE_OK)
            return result;
    }
    return WIRE_OK;
}

static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

enum wire_result wire_read_startup(struct wire *wire, int64_t deadline_ns, const uint8_t **body, size_t *len,
                                   struct error *err)
{
    enum wire_result result = wire_need(wire, deadline_ns, 4);
    if (result != WIRE_OK)
        return result;
    uint32_t bytes = load_u32(wire->in + wire->in_start);
    if (bytes < 8 || bytes > STARTUP_BYTES_MAX) {
        error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid length of startup packet");
        return WIRE_VIOLATION;
    }
    result = wire_need(wire, deadline_ns, bytes);
    if (result != WIRE_OK)
        return result;
    *body = wire->in + wire->in_start + 4;
    *len = bytes - 4;
    wire->in_start += bytes;
    return WIRE_OK;
}

/* Throws away `bytes` of input. */
static enum wire_result wire_skip(struct wire *wire, int64_t deadline_ns, size_t bytes)
{
    while (bytes > 0) {
        if (wire->in_start == wire->in_end) {
            enum wire_result result = wire_fill(wire, deadline_ns);
            if (result != WIRE_OK)
                return result;
        }
        size_t held = wire->in_end - wire->in_start;
        size_t part = held < bytes ? held : bytes;
        wire->in_start += part;
        bytes -= part;
    }
    return WIRE_OK;
}

enum wire_result wire_read(struct wire *wire, int64_t deadline_ns, size_t bytes_max, char *type,
                           const uint8_t **body, size_t *len, struct error *err)
{
    enum wire_result result = wire_need(wire, deadline_ns, 5);
    if (result != WIRE_OK)
        return result;
    const uint8_t *head = wire->in + wire->in_start;
    *type = (char)head[0];
    uint32_t bytes = load_u32(head + 1);
    bool known = *type != '\0' && strchr("QPBDEHSCXdcfFp", *type) != NULL;
    if (!known) {
        error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid frontend message type %d", (int)head[0]);
        return WIRE_VIOLATION;
    }
    if (bytes < 4 || bytes > bytes_max) {
        error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid message length");
        return WIRE_VIOLATION;
    }
    if ((*type == 'Q' || *type == 'P') && bytes > STATEMENT_BYTES_MAX) {
        wire->in_start += 5;
        result = wire_skip(wire, deadline_ns, bytes - 4);
        if (result != WIRE_OK)
            return result;
        error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "statement is too long");
        error_detail(err, "It has %u bytes, the limit is %u.", bytes, STATEMENT_BYTES_MAX);
        return WIRE_TOO_LONG;
    }
    result = wire_need(wire, deadline_ns, 1 + (size_t)bytes);
    if (result != WIRE_OK)
        return result;
    *body = wire->in + wire->in_start + 5;
    *len = bytes - 4;
    wire->in_start += 1 + (size_t)bytes;
    return WIRE_OK;
}

bool wire_peer_gone(const struct wire *wire)
{
    struct pollfd item = {.fd = wire->fd, .events = POLLRDHUP};
    return poll(&item, 1, 0) > 0 && (item.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* ---- fields ---- */

const uint8_t *wire_get_bytes(struct wire_cursor *cursor, size_t len)
{
    static const uint8_t zeros[16];
    if (cursor->bad || (size_t)(cursor->end - cursor->at) < len) {
        cursor->bad = true;
        return zeros;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += len;
    return bytes;
}

uint8_t wire_get_u8(struct wire_cursor *cursor)
{
    return *wire_get_bytes(cursor, 1);
}

uint16_t wire_get_u16(struct wire_cursor *cursor)
{
    const uint8_t *bytes = wire_get_bytes(cursor, 2);
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

uint32_t wire_get_u32(struct wire_cursor *cursor)
{
    return load_u32(wire_get_bytes(cursor, 4));
}

const char *wire_get_text(struct wire_cursor *cursor)
{
    const uint8_t *nul = NULL;
    if (!cursor->bad && cursor->at < cursor->end)
        nul = memchr(cursor->at, 0, (size_t)(cursor->end - cursor->at));
    if (nul == NULL) {
        cursor->bad = true;
        return "";
    }
    const char *text = (const char *)cursor->at;
    cursor->at = nul + 1;
    return text;
}

/* ---- writing ---- */

void wire_begin(struct wire *wire, char type)
{
    strbuf_reserve(&wire->out, 5);
    wire->message_at = wire->out.len;
    strbuf_addc(&wire->out, type);
    strbuf_add_u32be(&wire->out, 0);
}

void wire_put_text(struct wire *wire, const char *text)
{
    strbuf_add(&wire->out, text, strlen(text) + 1);
}

void wire_end(struct wire *wire)
{
    uint32_t bytes = (uint32_t)(wire->out.len - wire->message_at - 1);
    uint8_t *length = (uint8_t *)wire->out.data + wire->message_at + 1;
    length[0] = (uint8_t)(bytes >> 24);
    length[1] = (uint8_t)(bytes >> 16);
    length[2] = (uint8_t)(bytes >> 8);
    length[3] = (uint8_t)bytes;
    if (wire->out.len >= WIRE_FLUSH_BYTES)
        (void)wire_flush(wire);
}

void wire_put_empty(struct wire *wire, char type)
{
    wire_begin(wire, type);
    wire_end(wire);
}

bool wire_send_raw(struct wire *wire, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    state_memory_verify(); /* what rows were made from */
    while (len > 0 && !wire->broken) {
        ssize_t sent = send(wire->fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            wire->broken = true;
            break;
        }
        at += sent;
        len -= (size_t)sent;
        wire->bytes_sent += (uint64_t)sent;
    }
    return !wire->broken;
}

bool wire_flush(struct wire *wire)
{
    if (wire->out.len > 0)
        (void)wire_send_raw(wire, wire->out.data, wire->out.len);
    strbuf_reset(&wire->out);
    if (wire->out.cap > SHRINK_BYTES)
        strbuf_release(&wire->out);
    return !wire->broken;
}

void wire_truncate(struct wire *wire, size_t mark)
{
    CHECK(mark <= wire->out.len);
    wire->out.len = mark;
    if (wire->out.data != NULL)
        wire->out.data[mark] = '\0';
}
