/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The three stages put together: jobs on whole masks and whole arrays, tile by tile.
 */
#ifndef FD_JOB_H
#define FD_JOB_H

#include "decide.h"
#include "gather.h"
#include "parallel.h"

/* The arrays of one call, or of a part of it; `other` only where the operation reads it. */
typedef struct {
    const char *x, *other;
    char *y;
} fd_arrays;

/* Where the elements of these lie: of each axis the length and, in elements, the strides. Axes are in
 * y's order, largest strides first, and y's elements follow each other along the last one. `index` is
 * in C order of the indices, which numbers and Gaussian factors follow. */
typedef struct {
    int ndim;
    int64_t shape[FD_MAX_DIMS];
    int64_t x[FD_MAX_DIMS], other[FD_MAX_DIMS], y[FD_MAX_DIMS], index[FD_MAX_DIMS];
} fd_orders;

/* What is done to n elements of `components` numbers each (complex: 2). From the operation on, each
 * function reads its own fields. */
typedef struct {
    const fd_kernels *kernels;
    const fd_any_mask *mask;
    fd_dtype dtype;
    int components;

    /* fd_apply: y = operation of x. */
    fd_operation operation;
    int past_caches; /* the arrays do not fit into the caches together; y is none of the others */
    double scale, shift, dropped;
    const fd_numbers *each; /* of FD_SCALE_EACH, to make the factors of */
    int each_by_index;      /* of fd_apply_boxes: they follow the indices in C order, and not y */
    const char *bias;       /* element i meets bias[i % bias_period], ... */
    uint64_t bias_period;  /* ... which is followed by another FD_TILE elements of its repetition */
    uint64_t bias_repeats; /* above 1: element i meets bias[i / bias_repeats % bias_period] */
    uint8_t *changed;      /* where a relu leaves the kept bits, all 0 before; may be NULL */

    /* fd_multiply, Gaussian dropout: y = x * factor, or where x is NULL the float32 factors. Factor
     * i is made of the word at position + 4 i of the mask's stream, or is factors[i] where that is
     * not NULL. */
    float deviation;
    const float *factors;

    /* fd_draw: y = the mask, as bits or as bytes. */
    int as_dropped;        /* ones are the dropped elements, and not the kept ones */
    int as_bytes;          /* one byte per element */
    const fd_view *window; /* not NULL: these elements of a larger mask, as window.h takes them */

    /* fd_bernoulli: y = 1 where an element is kept and else 0, of `dtype`, or `as_bytes`. Its
     * probability of being kept is at x, of this dtype: FD_FLOAT32 or FD_FLOAT64. */
    fd_dtype dtype_of_p;
} fd_job;

/* One of the following four. All n elements, in parts that the executor runs. `cursor` is where the
 * mask starts and becomes where it ends. Returns 0, or -1 where it was told to stop: some elements
 * are then not written, and the cursor is worth nothing. */
typedef int (*fd_job_function)(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
                               const fd_executor *executor);

int fd_apply(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
             const fd_executor *executor);
int fd_multiply(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
                const fd_executor *executor);

/* The first two, of arrays that do not lie in memory as y does: see boxes.h. The mask of fd_apply_boxes
 * has bits, in y's order. */
int fd_apply_boxes(const fd_job *job, const fd_orders *orders, fd_arrays arrays,
                   const fd_executor *executor);
int fd_multiply_boxes(const fd_job *job, fd_cursor *cursor, const fd_orders *orders,
                      fd_arrays arrays, const fd_executor *executor);

/* Bits are written up to the last whole byte, pad bits 0. */
int fd_draw(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
            const fd_executor *executor);

int fd_bernoulli(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
                 const fd_executor *executor);

/* Whether all numbers are in [0, 1]. */
int fd_are_probabilities(const void *numbers, fd_dtype dtype, size_t n);

/* fd_apply for elements [first, first + n), whose numbers start at `arrays`. Serial. */
void fd_apply_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n,
                   fd_arrays arrays);

/* ---- for the functions above ------------------------------------------------------------ */

FD_INLINE size_t
fd_element_size(const fd_job *job)
{
    return fd_number_size(job->dtype) * (size_t)job->components;
}

FD_INLINE fd_arrays
fd_arrays_at(fd_arrays arrays, size_t bytes)
{
    const fd_arrays later = {arrays.x ? arrays.x + bytes : NULL,
                             arrays.other ? arrays.other + bytes : NULL, arrays.y + bytes};
    return later;
}

/* Does a job to elements [first, first + n) of `arrays`, which are those of the whole call. */
typedef void (*fd_part)(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n,
                        fd_arrays arrays, fd_watch watch);

/* Shares n elements among parts of whole tiles, as even as can be. The first part starts at the
 * cursor, which becomes where the last one ends. Returns as the functions above. */
int fd_run_parts(fd_part part, const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
                 const fd_executor *executor);

#endif
