/* SPDX-License-Identifier: BSD-3-Clause */
#include "lent.h"

static fd_parallel_for lent;

typedef struct {
    size_t tasks, workers;
    fd_task task;
    void *context;
} region;

/* Every task whose turn is one of these workers'. */
static void
run_turns(int64_t first, int64_t end, void *context)
{
    const region *of = (const region *)context;
    for (size_t worker = (size_t)first; worker < (size_t)end; worker++) {
        for (size_t index = worker; index < of->tasks; index += of->workers) {
            of->task(of->context, index, worker);
        }
    }
}

static void
lent_run(size_t tasks, size_t workers, fd_task task, void *context, fd_interrupt *interrupt)
{
    region of = {tasks, workers, task, context};
    (void)interrupt; /* the lender waits by itself */
    lent(0, (int64_t)workers, 1, run_turns, &of);
}

void
fd_lend(fd_parallel_for parallel_for)
{
    lent = parallel_for;
}

/* PyTorch's threads spin for a while after each call, so they start within a microsecond or two.
 * PyTorch's own loops have the same grain. */
enum { GRAIN = 1 << 15 };

fd_executor
fd_lent(size_t workers)
{
    const fd_executor executor = {lent_run, lent == NULL ? 1 : workers, GRAIN, NULL};
    return executor;
}
