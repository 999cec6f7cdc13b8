/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A small pool of threads. No OpenMP: a forked child of a program that has used it hangs, and
 * two OpenMP run times in one process can deadlock. Workers start with the first parallel call,
 * are forgotten in forked children, and are never waited for at exit.
 */
#ifndef FD_THREADS_H
#define FD_THREADS_H

#include "interrupt.h"

/* `by_caller`: on the thread that called fd_parallel. */
typedef void (*fd_task)(void *context, size_t index, int by_caller);

/* Calls run(context, 0) ... run(context, tasks - 1), side by side where it can, and in the
 * caller's floating-point mode. The caller works too, and alone when the pool is busy with the call
 * of another thread or no worker starts. While it waits it asks about the interrupt, which may be
 * NULL. */
void fd_parallel(size_t tasks, fd_task run, void *context, fd_interrupt *interrupt);

/* Makes forked children forget the workers. Called once, before any other thread runs. */
void fd_parallel_handle_fork(void);

/* How many forks there are between the process that loaded this and the one that asks. */
size_t fd_fork_count(void);

#endif
