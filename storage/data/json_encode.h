/* json_encode.h: SQL values as JSON text, as to_json() writes them (PostgreSQL manual 9.16.2). */
#ifndef MILLRACE_DATA_JSON_ENCODE_H
#define MILLRACE_DATA_JSON_ENCODE_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/type.h"

/* Appends the value: numbers and booleans plain (NaN and infinities quoted), json and jsonb as they are,
 * dates and times in ISO 8601, arrays nested, records as objects with keys f1, f2, ...; all else as a string
 * of its text. pretty: line feeds between the elements of the outermost array or record. */
void json_encode(uint32_t type_oid, const struct datum *value, const struct io_env *env, bool pretty,
                 struct strbuf *out);
/* Appends the value as the key of an object, quoted; it is not NULL. 22023 for arrays, records and json. */
MUST_CHECK
bool json_encode_key(uint32_t type_oid, const struct datum *value, const struct io_env *env,
                     struct strbuf *out, struct error *err);

#endif
