/* SPDX-License-Identifier: BSD-3-Clause */
#include "openmp.h"

static struct {
    fd_openmp_parallel parallel;
    fd_openmp_count thread, threads;
} runtime;

typedef struct {
    size_t tasks;
    fd_task task;
    void *context;
} region;

/* Every task whose turn is this thread's. */
static void
run_turns(void *context)
{
    const region *of = (const region *)context;
    const size_t worker = (size_t)runtime.thread(), team = (size_t)runtime.threads();
    for (size_t index = worker; index < of->tasks; index += team) {
        of->task(of->context, index, worker);
    }
}

static void
openmp_run(size_t tasks, size_t workers, fd_task task, void *context, fd_interrupt *interrupt)
{
    region of = {tasks, task, context};
    (void)interrupt; /* the run time waits by itself */
    runtime.parallel(run_turns, &of, (unsigned)workers, 0);
}

void
fd_openmp_use(fd_openmp_parallel parallel, fd_openmp_count thread, fd_openmp_count threads)
{
    runtime.parallel = parallel;
    runtime.thread = thread;
    runtime.threads = threads;
}

fd_executor
fd_openmp(size_t workers)
{
    const fd_executor executor = {openmp_run, runtime.parallel == NULL ? 1 : workers, NULL};
    return executor;
}
