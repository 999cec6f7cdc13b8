/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The threads of an OpenMP run time that is there anyway, called through its address: nothing is
 * linked with one.
 */
#ifndef FD_OPENMP_H
#define FD_OPENMP_H

#include "parallel.h"

/* GOMP_parallel, and omp_get_thread_num and omp_get_num_threads. */
typedef void (*fd_openmp_parallel)(void (*body)(void *context), void *context, unsigned threads,
                                   unsigned flags);
typedef int (*fd_openmp_count)(void);

/* Uses these three from now on; NULLs: none. Called while no other thread uses them. */
void fd_openmp_use(fd_openmp_parallel parallel, fd_openmp_count thread, fd_openmp_count threads);

/* An executor on at most so many threads: on the caller's alone where there is no run time. */
fd_executor fd_openmp(size_t workers);

#endif
