/* engine_trouble.h: whether the log can be written, for whoever shows it. */
#ifndef MILLRACE_EXECUTOR_ENGINE_TROUBLE_H
#define MILLRACE_EXECUTOR_ENGINE_TROUBLE_H

#include "storage/base/error.h"

struct engine;

/* true: nothing can be committed for now, *err says why (53100, 58030); patient transactions (engine_txn.is_patient) wait for the end of that. Any
 * thread. */
bool engine_is_held(struct engine *engine, struct error *err);

#endif
