/* SPDX-License-Identifier: BSD-3-Clause */
#include "parallel.h"

size_t
fd_workers(const fd_executor *executor, size_t elements)
{
    if (executor->workers == 1 || elements < 2 * executor->grain) {
        return 1;
    }
    return fd_min(executor->workers, elements / executor->grain);
}

void
fd_run_tasks(const fd_executor *executor, size_t tasks, size_t workers, fd_task task, void *context,
             fd_interrupt *interrupt)
{
    if (workers > 1 && tasks > 1) {
        executor->run(tasks, fd_min(workers, tasks), task, context, interrupt);
        return;
    }
    for (size_t index = 0; index < tasks; index++) {
        task(context, index, 0);
    }
}
