/* error_response.c: fields S V C M D H P W s t c d n F L R of an error (PostgreSQL manual 55.8). */
#include "protocol/pgwire/error_response.h"

#include "storage/data/text_check.h"

#include <stdio.h>

/* Messages are cut at a fixed length, maybe inside a character: clients want valid UTF-8. */
static void put_field(struct wire *wire, char code, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    size_t len = strlen(text);
    size_t clipped = text_clip(text, len, len);
    strbuf_addc(&wire->out, code);
    for (size_t i = 0; i < clipped;) {
        size_t bytes = (uint8_t)text[i] < 0x80   ? 1
                       : (uint8_t)text[i] < 0xe0 ? 2
                       : (uint8_t)text[i] < 0xf0 ? 3
                                                 : 4;
        if (bytes == 1 || (i + bytes <= clipped && text_check_utf8(text + i, bytes, NULL)))
            strbuf_add(&wire->out, text + i, bytes);
        else
            strbuf_addc(&wire->out, '?'), bytes = 1;
        i += bytes;
    }
    strbuf_addc(&wire->out, '\0');
}

static void put_origin(struct wire *wire)
{
    put_field(wire, 'F', "millrace.c");
    put_field(wire, 'L', "1");
    put_field(wire, 'R', "statement");
}

void error_response_send(struct wire *wire, const char *severity, const struct error *err,
                         int32_t position_base)
{
    wire_begin(wire, 'E');
    put_field(wire, 'S', severity);
    put_field(wire, 'V', severity);
    put_field(wire, 'C', error_sqlstate(err->code == ERRCODE_NONE ? ERRCODE_INTERNAL_ERROR : err->code));
    put_field(wire, 'M', err->message[0] != '\0' ? err->message : "unknown error");
    put_field(wire, 'D', err->detail);
    put_field(wire, 'H', err->hint);
    if (err->position > 0) {
        char position[16];
        snprintf(position, sizeof(position), "%d", err->position + position_base);
        put_field(wire, 'P', position);
    }
    put_field(wire, 'W', err->context);
    put_field(wire, 's', err->schema_name);
    put_field(wire, 't', err->table_name);
    put_field(wire, 'c', err->column_name);
    put_field(wire, 'n', err->constraint_name);
    put_origin(wire);
    strbuf_addc(&wire->out, '\0');
    wire_end(wire);
}

void notice_response_send(struct wire *wire, const char *severity, const char *sqlstate, const char *message,
                          const char *detail, const char *hint)
{
    wire_begin(wire, 'N');
    put_field(wire, 'S', severity);
    put_field(wire, 'V', severity);
    put_field(wire, 'C', sqlstate);
    put_field(wire, 'M', message);
    put_field(wire, 'D', detail);
    put_field(wire, 'H', hint);
    put_origin(wire);
    strbuf_addc(&wire->out, '\0');
    wire_end(wire);
}
