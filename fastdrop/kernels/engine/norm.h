/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Dropout, the sum with a residual and a norm over rows, forward and backward, in one pass over
 * memory: what is made of a row stays in the caches.
 */
#ifndef FD_ENGINE_NORM_H
#define FD_ENGINE_NORM_H

#include "job.h"

/* The arrays have rows * width elements of `dtype`, but for those of one row: these are numbers of
 * float64, or else float32. */
typedef struct {
    const fd_kernels *kernels;
    const fd_any_mask *mask; /* NULL: everything is kept */
    fd_dtype dtype;
    int centered; /* layer norm; else RMS norm */
    double scale, eps;
    size_t rows, width;
    /* Of x, dx and the mask, whose rows may be in another order: row r is row (r % inner) * (rows /
     * inner) + r / inner of all other arrays. 0: the same order. */
    size_t inner;
    const char *x, *residual;                /* x may be NULL: the residual is the sum */
    const void *weight, *bias, *linear_bias; /* of one row; or NULL */

    char *y, *sum; /* forward; `sum` may be NULL */

    const char *dy, *dsum; /* backward, as all that follow; but for dy, each may be NULL */
    char *dx, *dresidual;
    void *dweight, *dbias, *dlinear_bias; /* of one row */
} fd_norm;

/* Bytes of room that a call needs. */
size_t fd_norm_room(const fd_norm *norm, int backward, const fd_executor *executor);

/* All rows, in `room`. Sums over rows are the same for any number of workers. Returns 0, or -1 where
 * it was told to stop. */
int fd_norm_rows(const fd_norm *norm, int backward, fd_cursor *cursor, char *room,
                 const fd_executor *executor);

#endif
