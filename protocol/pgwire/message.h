/* message.h: messages of the PostgreSQL protocol 3.0 over a socket, buffered both ways.
 *
 * The input buffer grows with bytes that came, never with a length that was only announced. Reading ends in
 * one of five ways; whatever a client sends, only its own connection suffers. Output is collected and written
 * when it passes WIRE_FLUSH_BYTES or at wire_flush. After a failed write `broken` is set and everything
 * written later is dropped. One thread uses a wire; wire_interrupt may be called by any. */
#ifndef MILLRACE_PGWIRE_MESSAGE_H
#define MILLRACE_PGWIRE_MESSAGE_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_FLUSH_BYTES (48u << 10)

enum wire_result {
    WIRE_OK,
    WIRE_CLOSED,    /* the peer is gone, or wire_interrupt */
    WIRE_TIMEOUT,   /* the deadline passed */
    WIRE_VIOLATION, /* err filled with 08P01: answer FATAL and close */
    WIRE_TOO_LONG,  /* err filled with 54000; the message was skipped and the connection can go on */
};

struct wire {
    int fd;
    uint8_t *in;
    size_t in_start, in_end, in_cap;
    struct strbuf out;
    size_t message_at;   /* where the message being written begins in out */
    uint64_t bytes_sent; /* written to the socket so far */
    bool broken;
};

void wire_init(struct wire *wire, int fd);
/* Does not close the socket. */
void wire_release(struct wire *wire);
/* Ends the reading half of a socket, so that a blocked or later read says WIRE_CLOSED. Any thread. */
void wire_interrupt(int fd);

/* ---- reading; deadline_ns is of clock_monotonic_ns, 0: none ---- */

/* A start-up packet: body without the length word. 8..10000 bytes. Borrowed until the next read. */
enum wire_result wire_read_startup(struct wire *wire, int64_t deadline_ns, const uint8_t **body, size_t *len,
                                   struct error *err);
/* A message with its type byte. Query and Parse may hold STATEMENT_BYTES_MAX, others MESSAGE_BYTES_MAX.
 * Before authentication bytes_max is small. Borrowed until the next read. */
enum wire_result wire_read(struct wire *wire, int64_t deadline_ns, size_t bytes_max, char *type,
                           const uint8_t **body, size_t *len, struct error *err);
/* Is a whole or partial message waiting in the buffer? */
static inline bool wire_has_input(const struct wire *wire)
{
    return wire->in_end > wire->in_start;
}
/* Has the peer hung up? Never blocks. */
bool wire_peer_gone(const struct wire *wire);

/* Fields of a message body. A read past the end sets `bad` and gives zeros. */
struct wire_cursor {
    const uint8_t *at, *end;
    bool bad;
};
uint8_t wire_get_u8(struct wire_cursor *cursor);
uint16_t wire_get_u16(struct wire_cursor *cursor);
uint32_t wire_get_u32(struct wire_cursor *cursor);
/* NUL-terminated text; "" and bad when there is no NUL. */
const char *wire_get_text(struct wire_cursor *cursor);
const uint8_t *wire_get_bytes(struct wire_cursor *cursor, size_t len);

/* ---- writing ---- */

void wire_begin(struct wire *wire, char type);
static inline void wire_put_u16(struct wire *wire, uint16_t value)
{
    strbuf_add_u16be(&wire->out, value);
}
static inline void wire_put_u32(struct wire *wire, uint32_t value)
{
    strbuf_add_u32be(&wire->out, value);
}
void wire_put_text(struct wire *wire, const char *text); /* with its NUL */
/* Fills in the length; writes out when much has gathered. */
void wire_end(struct wire *wire);
/* A message without body. */
void wire_put_empty(struct wire *wire, char type);
/* false when the connection is broken. */
bool wire_flush(struct wire *wire);
/* Drops what was added behind `mark` (an earlier out.len), possible while bytes_sent has not moved. */
void wire_truncate(struct wire *wire, size_t mark);

/* Bytes that need no message: the answer to SSLRequest. */
bool wire_send_raw(struct wire *wire, const void *bytes, size_t len);

#endif
