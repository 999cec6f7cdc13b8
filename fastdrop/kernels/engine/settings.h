/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What holds for all calls of a process, until it is changed, in any thread.
 */
#ifndef FD_SETTINGS_H
#define FD_SETTINGS_H

#include "../kernels.h"
#include "parallel.h"

/* The table in use. NULL until one is. */
const fd_kernels *fd_active_kernels(void);
void fd_use_kernels(const fd_kernels *kernels);

/* The pool's most workers of one call: 1 until it is said. */
size_t fd_pool_workers(void);
void fd_use_pool_workers(size_t workers);

/* The fewest elements of a worker of the pool: 2^18, but in tests. Workers sleep between calls, and
 * waking one takes 5 to 40 microseconds, most of all on virtual machines. In 40 microseconds one
 * thread decides about 2^18 elements. */
size_t fd_pool_grain(void);
void fd_use_pool_grain(size_t elements);

/* What long calls on the pool ask: nothing until it is said. Called before any other thread runs. */
void fd_use_ask(fd_ask ask);

/* Bytes of the last-level cache. Said once, before any other thread runs. */
size_t fd_last_level_cache(void);
void fd_use_last_level_cache(size_t bytes);

/* The pool, as it is set. */
fd_executor fd_pool(void);

#endif
