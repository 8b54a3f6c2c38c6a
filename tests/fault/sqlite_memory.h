/* sqlite_memory.h: the memory that SQLite asks for, which is refused at its Nth request. Any thread. */
#ifndef MILLRACE_TESTS_FAULT_SQLITE_MEMORY_H
#define MILLRACE_TESTS_FAULT_SQLITE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Before SQLite is used. */
void sqlite_memory_install(void);
/* Requests are counted from now on, from 0. */
void sqlite_memory_count(void);
uint64_t sqlite_memory_counted(void);
/* Request number `at` (of those counted) is refused; with `lasting` all after it as well. 0: none. */
void sqlite_memory_fail(uint64_t at, bool lasting);
/* Whether it has come to that. */
bool sqlite_memory_has_failed(void);

#endif
