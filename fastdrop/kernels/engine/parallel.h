/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who does the work of a call: its executor. Nothing else in the engine knows of threads.
 */
#ifndef FD_PARALLEL_H
#define FD_PARALLEL_H

#include "interrupt.h"

/* Worker 0 is the thread that made the call. */
typedef void (*fd_task)(void *context, size_t index, size_t worker);

/* Calls task(context, 0, ...) ... task(context, tasks - 1, ...), side by side where it can, and
 * returns when all are done. No two threads have one worker's number at a time, and all numbers are
 * below `workers`. While the caller waits it asks about the interrupt, which may be NULL. */
typedef void (*fd_run)(size_t tasks, size_t workers, fd_task task, void *context,
                       fd_interrupt *interrupt);

typedef struct {
    fd_run run;
    size_t workers; /* the most of one call; 1: the caller, and `run` is not called */
    size_t grain;   /* a worker with fewer elements costs more than it saves */
    fd_ask ask;     /* by long calls; may be NULL */
} fd_executor;

/* The workers for so many elements: 1 at least. */
size_t fd_workers(const fd_executor *executor, size_t elements);

/* Runs tasks on `workers` <= executor->workers. */
void fd_run_tasks(const fd_executor *executor, size_t tasks, size_t workers, fd_task task,
                  void *context, fd_interrupt *interrupt);

#endif
