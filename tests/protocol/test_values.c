/* test_values.c: DataRow messages in both formats, parameters of Bind, and the reader of messages against
 * broken input. */
#include "protocol/pgwire/startup.h"
#include "protocol/pgwire/values.h"
#include "storage/base/clock.h"
#include "tests/test.h"

#include <sys/socket.h>
#include <unistd.h>

struct pipe_pair {
    int server, client;
    struct wire wire;
};

static void open_pair(struct pipe_pair *pair)
{
    int fds[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    pair->server = fds[0];
    pair->client = fds[1];
    wire_init(&pair->wire, pair->server);
}

static void close_pair(struct pipe_pair *pair)
{
    wire_release(&pair->wire);
    close(pair->server);
    close(pair->client);
}

static void client_sends(struct pipe_pair *pair, const void *bytes, size_t len)
{
    EXPECT(send(pair->client, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

TEST(data_rows)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type types[] = {{OID_INT4, -1}, {OID_TEXT, -1}, {OID_BOOL, -1}, {OID_FLOAT8, -1}};
    struct batch *rows = batch_create(&arena, types, 4, 4);
    struct datum values[] = {datum_i32(-17), datum_text(&arena, "h\xc3\xa9", 3), datum_bool(true),
                             datum_f64(0.5)};
    batch_append_datums(rows, values, 1);
    values[1] = datum_null();
    batch_append_datums(rows, values, 2);

    struct pipe_pair pair;
    open_pair(&pair);
    struct row_writer writer;
    struct error err;
    EXPECT(row_writer_init(&writer, &arena, types, 4, NULL, 0, &err));
    EXPECT_INT(row_writer_send(&writer, &pair.wire, rows, 0, 2, &io_env_default), 3);
    static const char text_row[] = "D\0\0\0\42\0\4\0\0\0\3-17\0\0\0\3h\xc3\xa9\0\0\0\1t\0\0\0\3"
                                   "0.5";
    static const char null_row[] = "D\0\0\0\37\0\4\0\0\0\3-17\377\377\377\377\0\0\0\1t\0\0\0\3"
                                   "0.5";
    size_t first = sizeof(text_row) - 1, second = sizeof(null_row) - 1;
    /* lengths: 4 + 2 + 4 fields */
    EXPECT_INT(pair.wire.out.len, first + 2 * second);
    struct strbuf *out = &pair.wire.out;
    EXPECT_INT(out->data[0], 'D');
    EXPECT(memcmp(out->data + 5, text_row + 5, first - 5) == 0);
    EXPECT(memcmp(out->data + first + 5, null_row + 5, second - 5) == 0);
    EXPECT(memcmp(out->data + first, out->data + first + second, second) == 0); /* weight 2 */
    EXPECT_INT((uint8_t)out->data[4], first - 1);

    strbuf_reset(out);
    int16_t formats[] = {1, 1, 1, 1};
    EXPECT(row_writer_init(&writer, &arena, types, 4, formats, 4, &err));
    EXPECT_INT(row_writer_send(&writer, &pair.wire, rows, 0, 1, &io_env_default), 1);
    static const char binary_row[] =
        "\0\4\0\0\0\4\377\377\377\357\0\0\0\3h\xc3\xa9\0\0\0\1\1\0\0\0\10\x3f\xe0\0\0\0\0\0\0";
    EXPECT_INT(out->len, 5 + sizeof(binary_row) - 1);
    EXPECT(memcmp(out->data + 5, binary_row, sizeof(binary_row) - 1) == 0);

    EXPECT(!row_writer_init(&writer, &arena, types, 4, formats, 3, &err));
    EXPECT_INT(err.code, ERRCODE_PROTOCOL_VIOLATION);
    formats[0] = 7;
    EXPECT(!row_writer_init(&writer, &arena, types, 4, formats, 4, &err));
    strbuf_reset(out);
    close_pair(&pair);
    arena_release(&arena);
}

TEST(parameters)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct error err;
    struct datum value;
    struct sql_type int4 = {OID_INT4, -1}, text = {OID_TEXT, -1};
    EXPECT(value_read(int4, 0, (const uint8_t *)"42", 2, &io_env_default, &arena, &value, &err));
    EXPECT_INT(value.i32, 42);
    EXPECT(value_read(int4, 1, (const uint8_t *)"\0\0\1\0", 4, &io_env_default, &arena, &value, &err));
    EXPECT_INT(value.i32, 256);
    EXPECT(value_read(int4, 1, NULL, 0, &io_env_default, &arena, &value, &err));
    EXPECT(value.is_null);
    EXPECT(!value_read(int4, 1, (const uint8_t *)"\0\0\1", 3, &io_env_default, &arena, &value, &err));
    EXPECT_INT(err.code, ERRCODE_INVALID_BINARY_REPRESENTATION);
    EXPECT(!value_read(int4, 0, (const uint8_t *)"x", 1, &io_env_default, &arena, &value, &err));
    EXPECT_INT(err.code, ERRCODE_INVALID_TEXT_REPRESENTATION);
    EXPECT(!value_read(text, 0, (const uint8_t *)"a\xff", 2, &io_env_default, &arena, &value, &err));
    EXPECT_INT(err.code, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE);
    EXPECT(!value_read(text, 5, (const uint8_t *)"a", 1, &io_env_default, &arena, &value, &err));
    arena_release(&arena);
}

TEST(startup_packets)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct pipe_pair pair;
    struct startup startup;
    struct error err;
    open_pair(&pair);
    client_sends(&pair, "\0\0\0\10\4\322\26\57", 8); /* SSLRequest */
    struct strbuf body = STRBUF_INIT;
    strbuf_add_u32be(&body, 0);
    strbuf_add_u32be(&body, 0x30001);
    static const char fields[] = "user\0joe\0options\0-c a=b\\ c --x-y=z\0client_encoding\0'utf-8'\0"
                                 "_pq_.what\0on\0DateStyle\0ISO, YMD\0";
    strbuf_add(&body, fields, sizeof(fields));
    body.data[3] = (char)body.len;
    /* what follows an SSLRequest must wait for its answer */
    pid_t child = fork();
    if (child == 0) {
        char answer;
        _exit(recv(pair.client, &answer, 1, 0) == 1 && answer == 'N' &&
                      send(pair.client, body.data, body.len, 0) == (ssize_t)body.len
                  ? 0
                  : 1);
    }
    EXPECT_INT(startup_read(&pair.wire, clock_monotonic_ns() + INT64_C(5000000000), &arena, &startup, &err),
               WIRE_OK);
    EXPECT_TEXT(startup.user, "joe");
    EXPECT_TEXT(startup.database, "joe");
    EXPECT_INT(startup.minor, 1);
    EXPECT_INT(startup.unknown_count, 1);
    EXPECT_INT(startup.settings_count, 4);
    EXPECT_TEXT(startup.settings[0].name, "a");
    EXPECT_TEXT(startup.settings[0].value, "b c");
    EXPECT_TEXT(startup.settings[1].name, "x_y");
    EXPECT_TEXT(startup.settings[3].value, "ISO, YMD");
    strbuf_release(&body);
    close_pair(&pair);

    /* lengths that are too small or too large, at once */
    static const char *const bad[] = {"\0\0\0\7xxx", "\0\0\0\0", "\0\0\x27\x11xxxx", "\377\377\377\377",
                                      "\200\0\0\0"};
    for (size_t i = 0; i < 5; i++) {
        open_pair(&pair);
        client_sends(&pair, bad[i], i == 0 ? 7 : i == 2 ? 8 : 4);
        EXPECT_INT(startup_read(&pair.wire, 0, &arena, &startup, &err), WIRE_VIOLATION);
        EXPECT_INT(err.code, ERRCODE_PROTOCOL_VIOLATION);
        EXPECT(pair.wire.in_cap <= 1 << 15);
        close_pair(&pair);
    }
    open_pair(&pair);
    client_sends(&pair, "\0\0\0\x20", 4);
    EXPECT_INT(startup_read(&pair.wire, clock_monotonic_ns() + 20000000, &arena, &startup, &err),
               WIRE_TIMEOUT);
    wire_interrupt(pair.server);
    EXPECT_INT(startup_read(&pair.wire, 0, &arena, &startup, &err), WIRE_CLOSED);
    close_pair(&pair);
    arena_release(&arena);
}

TEST(messages)
{
    struct pipe_pair pair;
    struct error err;
    char type;
    const uint8_t *body;
    size_t len;
    open_pair(&pair);
    client_sends(&pair, "Q\0\0\0\6a\0S\0\0\0\4H\0\0", 15);
    EXPECT_INT(wire_read(&pair.wire, 0, 1 << 30, &type, &body, &len, &err), WIRE_OK);
    EXPECT_INT(type, 'Q');
    EXPECT_INT(len, 2);
    EXPECT_INT(wire_read(&pair.wire, 0, 1 << 30, &type, &body, &len, &err), WIRE_OK);
    EXPECT_INT(type, 'S');
    EXPECT(wire_has_input(&pair.wire));
    EXPECT_INT(wire_read(&pair.wire, clock_monotonic_ns() + 10000000, 1 << 30, &type, &body, &len, &err),
               WIRE_TIMEOUT);
    EXPECT(!wire_peer_gone(&pair.wire));
    close(pair.client);
    EXPECT(wire_peer_gone(&pair.wire));
    EXPECT_INT(wire_read(&pair.wire, 0, 1 << 30, &type, &body, &len, &err), WIRE_CLOSED);
    wire_release(&pair.wire);
    close(pair.server);

    static const char *const bad[] = {"Q\0\0\0\3", "z\0\0\0\4", "d\177\377\377\377", "Q\377\377\377\377",
                                      "\0\0\0\0\4"};
    for (size_t i = 0; i < 5; i++) {
        open_pair(&pair);
        client_sends(&pair, bad[i], 5);
        EXPECT_INT(wire_read(&pair.wire, 0, 1 << 30, &type, &body, &len, &err), WIRE_VIOLATION);
        EXPECT_INT(err.code, ERRCODE_PROTOCOL_VIOLATION);
        close_pair(&pair);
    }
}

TEST(fields)
{
    struct wire_cursor cursor = {.at = (const uint8_t *)"ab\0\1\2", .end = (const uint8_t *)"ab\0\1\2" + 5};
    static const uint8_t bytes[] = {'a', 'b', 0, 1, 2};
    cursor.at = bytes;
    cursor.end = bytes + sizeof(bytes);
    EXPECT_TEXT(wire_get_text(&cursor), "ab");
    EXPECT_INT(wire_get_u16(&cursor), 258);
    EXPECT(!cursor.bad);
    EXPECT_INT(wire_get_u8(&cursor), 0);
    EXPECT(cursor.bad);
    cursor = (struct wire_cursor){.at = bytes + 3, .end = bytes + 5};
    EXPECT_TEXT(wire_get_text(&cursor), "");
    EXPECT(cursor.bad);
}

int main(void)
{
    RUN(data_rows);
    RUN(parameters);
    RUN(startup_packets);
    RUN(messages);
    RUN(fields);
    return test_result();
}
