/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A small pool of threads. No OpenMP: a forked child of a program that has used it hangs, and
 * two OpenMP run times in one process can deadlock. Workers start with the first parallel call,
 * are forgotten in forked children, and are never waited for at exit.
 */
#ifndef FD_THREADS_H
#define FD_THREADS_H

#include "parallel.h"

/* An fd_run, in the caller's floating-point mode. The caller works alone when the pool is busy with
 * the call of another thread or no worker starts. */
void fd_pool_run(size_t tasks, size_t workers, fd_task task, void *context,
                 fd_interrupt *interrupt);

/* Makes forked children forget the workers. Called once, before any other thread runs. */
void fd_pool_handle_fork(void);

/* How many forks there are between the process that loaded this and the one that asks. */
size_t fd_fork_count(void);

#endif
