/* array_text.h: array literals, "{1,2,NULL}", "[0:1]={a,\"b c\"}", and the "1 2 3" form of the vector types.
 */
#ifndef MILLRACE_DATA_ARRAY_TEXT_H
#define MILLRACE_DATA_ARRAY_TEXT_H

#include "storage/data/type.h"

/* array_oid names an array type of the table; typmod is the element's. Errors 22P02, 2202E, 54000 and the
 * element's. */
MUST_CHECK
bool array_input(uint32_t array_oid, int32_t typmod, const char *text, size_t len, const struct io_env *env,
                 struct arena *arena, struct varlen *out, struct error *err);
void array_output(const struct varlen *value, const struct io_env *env, struct strbuf *out);
MUST_CHECK
bool vector_input(uint32_t vector_oid, const char *text, size_t len, struct arena *arena, struct varlen *out,
                  struct error *err);
void vector_output(const struct varlen *value, struct strbuf *out);
/* "(1,a,\"b c\",)" */
void record_output(const struct varlen *value, const struct io_env *env, struct strbuf *out);

#endif
