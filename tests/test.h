/* test.h: the few macros every unit test uses. A test program returns 0 when all its cases passed.
 *
 *   TEST(adds_weights) { EXPECT_INT(sum, 3); EXPECT_TEXT(buf, "+ 1\n"); }
 *   int main(void) { RUN(adds_weights); return test_result(); } */
#ifndef MILLRACE_TESTS_TEST_H
#define MILLRACE_TESTS_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failures;
static const char *test_name;

#define TEST(name) static void test_##name(void)
#define RUN(name)                                                                                            \
    do {                                                                                                     \
        test_name = #name;                                                                                   \
        test_##name();                                                                                       \
    } while (0)

static inline void test_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, test_name, what);
    if (++test_failures > 20)
        exit(1);
}

#define EXPECT(x)                                                                                            \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            test_fail(__FILE__, __LINE__, "expected " #x);                                                   \
    } while (0)
#define EXPECT_INT(actual, expected)                                                                         \
    do {                                                                                                     \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                          \
        if (actual_ != expected_) {                                                                          \
            char text_[160];                                                                                 \
            snprintf(text_, sizeof(text_), "%s is %lld, expected %lld", #actual, actual_, expected_);        \
            test_fail(__FILE__, __LINE__, text_);                                                            \
        }                                                                                                    \
    } while (0)
#define EXPECT_TEXT(actual, expected)                                                                        \
    do {                                                                                                     \
        const char *actual_ = (actual), *expected_ = (expected);                                             \
        if (strcmp(actual_, expected_) != 0) {                                                               \
            fprintf(stderr, "--- got\n%s\n--- expected\n%s\n", actual_, expected_);                          \
            test_fail(__FILE__, __LINE__, #actual);                                                          \
        }                                                                                                    \
    } while (0)

/* With MILLRACE_TEST_SMALL in the environment (sanitizers, which make all many times slower) loops over random cases are
 * shorter; they must still come to each kind of case. */
static inline unsigned test_rounds(unsigned all, unsigned small)
{
    return getenv("MILLRACE_TEST_SMALL") != NULL ? small : all;
}

static inline int test_result(void)
{
    printf("%s\n", test_failures == 0 ? "ok" : "FAILED");
    return test_failures == 0 ? 0 : 1;
}

#endif
