/* secret_key.c: see secret_key.h. */
#define _GNU_SOURCE /* explicit_bzero */
#include "server/secret_key.h"

#include "storage/base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16

/* ---- digits ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_digits(const char *text, size_t bytes, uint8_t *out)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void add_digits(struct strbuf *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        strbuf_addf(out, "%02x", bytes[i]);
}

/* ---- the key ---- */

static bool unusable(const char *path, const char *why, struct error *err)
{
    error_set(err, ERRCODE_CONFIG_FILE_ERROR, "key file \"%s\" cannot be used: %s", path, why);
    return false;
}

bool secret_key_read(const char *path, struct secret_key *out, struct error *err)
{
    char text[2 * sizeof(out->bytes) + 4];
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return unusable(path, strerror(errno), err);
    ssize_t got = read(fd, text, sizeof(text) - 1);
    bool is_private = fstat(fd, &info) == 0 && (info.st_mode & 077) == 0;
    close(fd);
    if (!is_private)
        return unusable(path, "others than its owner may use it (chmod 600)", err);
    text[got > 0 ? got : 0] = '\0';
    bool ok = got == (ssize_t)sizeof(out->bytes);
    if (ok)
        memcpy(out->bytes, text, sizeof(out->bytes));
    else if (got >= (ssize_t)(2 * sizeof(out->bytes)) &&
             strspn(text + 2 * sizeof(out->bytes), "\r\n") == (size_t)got - 2 * sizeof(out->bytes))
        ok = read_digits(text, sizeof(out->bytes), out->bytes);
    explicit_bzero(text, sizeof(text));
    if (ok)
        return true;
    unusable(path, "it holds neither 32 bytes nor 64 hexadecimal digits", err);
    return error_hint(err, "For example: openssl rand -hex 32.");
}

/* ---- values ---- */

/* false: OpenSSL has refused. Values are at most as long as a statement. */
static bool seal(const struct secret_key *key, const uint8_t *nonce, const char *label, const char *value,
                 uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &len, (const uint8_t *)label, (int)strlen(label)) == 1 &&
              EVP_EncryptUpdate(ctx, out, &len, (const uint8_t *)value, (int)strlen(value)) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + len, &len) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool unseal(const struct secret_key *key, const char *label, const uint8_t *bytes, size_t value_bytes,
                   uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;
    uint8_t tag[TAG_BYTES];
    memcpy(tag, bytes + NONCE_BYTES + value_bytes, TAG_BYTES);
    bool ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, bytes) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &len, (const uint8_t *)label, (int)strlen(label)) == 1 &&
              EVP_DecryptUpdate(ctx, out, &len, bytes + NONCE_BYTES, (int)value_bytes) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, out + len, &len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

void secret_key_encrypt(const struct secret_key *key, uint32_t oid, const char *name, const char *value,
                        struct strbuf *out)
{
    struct arena arena;
    arena_init(&arena, NULL);
    size_t bytes = strlen(value);
    uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES], *sealed = arena_alloc(&arena, bytes + 1);
    /* what fails here is OpenSSL without memory or without random numbers */
    CHECK(RAND_bytes(nonce, sizeof(nonce)) == 1);
    CHECK(seal(key, nonce, arena_printf(&arena, "%u %s", oid, name), value, sealed, tag));
    add_digits(out, nonce, sizeof(nonce));
    add_digits(out, sealed, bytes);
    add_digits(out, tag, sizeof(tag));
    arena_release(&arena);
}

bool secret_key_decrypt(const struct secret_key *key, uint32_t oid, const char *name, const char *text,
                        struct strbuf *out, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    size_t bytes = strlen(text) / 2;
    uint8_t *sealed = arena_alloc(&arena, bytes + 1), *value = arena_zalloc(&arena, bytes + 1);
    bool ok = bytes >= NONCE_BYTES + TAG_BYTES && read_digits(text, bytes, sealed);
    size_t value_bytes = ok ? bytes - NONCE_BYTES - TAG_BYTES : 0;
    ok = ok && unseal(key, arena_printf(&arena, "%u %s", oid, name), sealed, value_bytes, value);
    if (ok)
        strbuf_add(out, (const char *)value, value_bytes);
    else
        error_set(err, ERRCODE_DATA_CORRUPTED, "it was encrypted with another key, or is damaged");
    explicit_bzero(value, bytes + 1);
    arena_release(&arena);
    return ok;
}
