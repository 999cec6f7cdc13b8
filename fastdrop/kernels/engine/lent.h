/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The threads of another library, which its own work needs anyway: it lends them by a function that
 * is called through its address, and nothing is linked.
 */
#ifndef FD_LENT_H
#define FD_LENT_H

#include "parallel.h"

/* Calls body(first, end, context) for parts of [begin, end), each of `grain` numbers or more, side
 * by side where it can, and returns when all are done: torch_parallel_for of PyTorch's C ABI. */
typedef int32_t (*fd_parallel_for)(int64_t begin, int64_t end, int64_t grain,
                                   void (*body)(int64_t first, int64_t end, void *context),
                                   void *context);

/* Uses this one from now on; NULL: none. Called while no other thread uses it. */
void fd_lend(fd_parallel_for parallel_for);

/* An executor on at most so many of the threads: on the caller's alone where there are none. */
fd_executor fd_lent(size_t workers);

#endif
