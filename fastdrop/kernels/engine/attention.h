/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attention with dropout of the weights, by blocks of query rows: the scores of a block, their
 * softmax, the weights after dropout and the product with the values stay in the caches, and nothing of
 * the size queries x keys is kept. Backward makes scores and mask of a block again.
 */
#ifndef FD_ATTENTION_H
#define FD_ATTENTION_H

#include "job.h"

/* c = alpha * a b + beta * c: xGEMM of the Fortran BLAS. Matrices are stored by columns;
 * everything comes by address. a and b may be bfloat16 where all else is float32. The integers are 64 bits wide, so that on a little-endian machine
 * they are right for a BLAS of 32-bit integers too. */
typedef void (*fd_gemm)(const char *a_transposed, const char *b_transposed, const int64_t *m,
                        const int64_t *n, const int64_t *k, const void *alpha, const void *a,
                        const int64_t *a_stride, const void *b, const int64_t *b_stride,
                        const void *beta, void *c, const int64_t *c_stride);

/* A matrix for each head: it starts `offsets[head]` numbers after `first`, its rows are `stride`
 * numbers apart (0: there is one row for all), its columns 1. */
typedef struct {
    void *first;
    fd_dtype dtype;
    const int64_t *offsets;
    int64_t stride;
} fd_matrices;

/* A "key head" has the keys and values that `group` heads, one after the other, share. The mask
 * has the shape (heads, queries, keys). */
typedef struct {
    const fd_kernels *kernels;
    const fd_seeded *seeded;
    fd_gemm gemm;
    fd_dtype dtype; /* of scores and results: float32 or float64 */
    fd_dtype
        multiplied; /* what `gemm` reads, and query, key, value and the gradient of out are: the
                          * same, or bfloat16, to which the weights are rounded then */
    int causal;     /* query i sees keys 0 ... i */
    double scale;   /* of the scores */
    double factor;  /* of the kept weights */
    size_t heads, group, queries, keys, width, value_width;
    fd_matrices query, key, value;
    fd_matrices out;           /* backward: `first` may be NULL where blocks have all columns */
    fd_matrices bias;          /* added to the scores; `first` is NULL where there is none */
    double *largest, *inverse; /* (heads, queries): of each row, see fd_softmax */
    fd_matrices out_gradient, query_gradient, key_gradient, value_gradient; /* backward only */
    size_t rows, columns;                                                   /* of a block */
    int split; /* backward: keys and queries apart, with scores computed twice, on more threads */
} fd_attention;

/* All of it. Chooses `split`. Returns -1, and has done nothing, where there is no memory. */
int fd_attend(const fd_attention *attention, int backward, const fd_executor *executor);

/* ---- what it is made of ----------------------------------------------------------------- */

/* Bytes of scratch memory that one thread needs. */
size_t fd_attention_scratch(const fd_attention *attention, int backward);

/* How many parts there are to compute, in any order, on any threads. */
size_t fd_attention_parts(const fd_attention *attention, int backward);

/* Writes `out`, `largest` and `inverse` of one part: a block of rows of one head. */
void fd_attention_forward(const fd_attention *attention, size_t part, void *scratch);

/* Writes gradients of one part: all three of one key head and its group; or where backward is
 * split, those of some keys and values, or of some queries: the same numbers. */
void fd_attention_backward(const fd_attention *attention, size_t part, void *scratch);

#endif
