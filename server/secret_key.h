/* secret_key.h: secrets as state.db keeps them when there is a key: AES-256-GCM, as hexadecimal digits of nonce,
 * ciphertext and tag. The secret's name and OID are authenticated with it, so that one cannot be put in place of another.
 *
 * Any thread. */
#ifndef MILLRACE_SERVER_SECRET_KEY_H
#define MILLRACE_SERVER_SECRET_KEY_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

struct secret_key {
    uint8_t bytes[32];
};

/* From a file of 32 bytes, or of 64 hexadecimal digits and a line end, that nobody but its owner may read: F0000. */
MUST_CHECK
bool secret_key_read(const char *path, struct secret_key *out, struct error *err);
/* Appends. */
void secret_key_encrypt(const struct secret_key *key, uint32_t oid, const char *name, const char *value,
                        struct strbuf *out);
/* Appends. XX001 when it was not made with this key, or is damaged. */
MUST_CHECK
bool secret_key_decrypt(const struct secret_key *key, uint32_t oid, const char *name, const char *text,
                        struct strbuf *out, struct error *err);

#endif
