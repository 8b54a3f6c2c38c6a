/* check.h: assertions that stay on in release, and compiler attributes.
 *
 * CHECK guards against our own mistakes only. What a client, a disk or a broker sent is never CHECKed: bad
 * input is a struct error. */
#ifndef MILLRACE_BASE_CHECK_H
#define MILLRACE_BASE_CHECK_H

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define NORETURN                        __attribute__((noreturn))
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define LIKELY(x)                       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(a)                  (sizeof(a) / sizeof((a)[0]))

/* Prints place and expression to stderr and aborts. */
NORETURN void check_failed(const char *file, int line, const char *expression);
#define CHECK(x) (LIKELY(x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))

#endif
