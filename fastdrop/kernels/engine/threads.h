/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A small pool of threads. No OpenMP: a forked child of a program that has used it hangs, and
 * two OpenMP run times in one process can deadlock. Workers start with the first parallel call,
 * are forgotten in forked children, and are never waited for at exit.
 */
#ifndef FD_THREADS_H
#define FD_THREADS_H

#include <stddef.h>

typedef void (*fd_task)(void *context, size_t index);

/* Calls run(context, 0) ... run(context, tasks - 1), side by side where it can. The caller works
 * too, and alone when the pool is busy with the call of another thread or no worker starts. */
void fd_parallel(size_t tasks, fd_task run, void *context);

/* Makes forked children forget the workers. Called once, before any other thread runs. */
void fd_parallel_handle_fork(void);

#endif
