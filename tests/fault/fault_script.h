/* fault_script.h: a script of statements, what has become of each in a run with a fault, and whether a server holds just
 * that: compared with one without a disk that runs the acknowledged statements. */
#ifndef MILLRACE_TESTS_FAULT_FAULT_SCRIPT_H
#define MILLRACE_TESTS_FAULT_FAULT_SCRIPT_H

#include "tests/fault/fault_server.h"

#define FAULT_SCRIPT_COUNT 30u
extern const char *const fault_script[];

enum fault_outcome { REFUSED, DONE, UNKNOWN };

/* What a run has seen. */
struct fault_run {
    const char *name;
    uint64_t at; /* the fault's number */
    enum fault_outcome outcomes[FAULT_SCRIPT_COUNT];
};

extern int fault_complaints;
/* A failure of the test that names the run; after twenty the program ends. */
void fault_complain(const struct fault_run *run, const char *what, const char *detail);
/* For a program that is called with --expect MASK: prints what these statements of the script, by number, come to. A test
 * program that compares is started so by itself. */
void fault_print_expected(const char *mask);
/* Compares; statements whose outcome was unknown are known afterwards. */
void fault_check_contents(struct fault_run *run, struct fault_client *client, const char *when);

#endif
