/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What attention forward and backward have in common: a block of scores, and its mask.
 */
#ifndef FD_ATTENTION_BLOCKS_H
#define FD_ATTENTION_BLOCKS_H

#include <string.h>

#include "attention.h"

enum { FD_SOFTMAX_GROUP = 16 };

/* Bytes of a score. */
FD_INLINE size_t
number_size(const fd_attention *attention)
{
    return fd_number_size(attention->dtype);
}

FD_INLINE int
is_rounded(const fd_attention *attention)
{
    return attention->multiplied != attention->dtype;
}

FD_INLINE size_t
rounded_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

FD_INLINE char *
row_of(const fd_matrices *matrices, size_t head, size_t row)
{
    const int64_t number = matrices->offsets[head] + (int64_t)row * matrices->stride;
    return (char *)matrices->first + number * (int64_t)fd_number_size(matrices->dtype);
}

/* ---- blocks ----------------------------------------------------------------------------- */

/* A block of scores and, in backward, of gradients; the kept bits of its rows, for all keys. */
typedef struct {
    char *scores, *gradients;
    char *multiplied_scores, *multiplied_gradients; /* rounded; or the same */
    double *sums; /* of each row: of its exponentials so far; in backward, delta of fd_softmax */
    uint8_t *kept;
    size_t stride; /* numbers from a row of the blocks to the next */
} fd_workspace;

/* Rows [first, first + rows) of a head, and of their keys [left, left + columns). */
typedef struct {
    size_t head, first, rows, left, columns;
} fd_score_block;

/* How many keys a row sees. */
FD_INLINE size_t
keys_seen(const fd_attention *attention, size_t row)
{
    return attention->causal ? fd_min(row + 1, attention->keys) : attention->keys;
}

/* How many of the block's keys a row sees. */
FD_INLINE size_t
columns_seen(const fd_attention *attention, const fd_score_block *part, size_t row)
{
    const size_t seen = keys_seen(attention, row);
    return seen > part->left ? fd_min(seen - part->left, part->columns) : 0;
}

FD_INLINE size_t
blocks_of_rows(const fd_attention *attention)
{
    return (attention->queries + attention->rows - 1) / attention->rows;
}

/* Sets where things lie, unless `scratch` is NULL, and returns the bytes that they take. */
size_t fd_lay_out_block(const fd_attention *attention, int backward, char *scratch,
                        fd_workspace *work);

/* c (m, n) = alpha * a b + beta * c, by rows; a is (m, k) or, transposed, (k, m); b (k, n) or
 * (n, k). Which is the product of the transposed matrices, in the other order, by columns. */
void fd_multiply_matrices(const fd_attention *attention, size_t m, size_t n, size_t k, double alpha,
                          const void *a, int64_t a_stride, int a_transposed, const void *b,
                          int64_t b_stride, int b_transposed, double beta, void *c,
                          int64_t c_stride);

fd_score_block fd_rows_of_head(const fd_attention *attention, size_t head, size_t first);

/* The mask of the block's rows, for all keys: what a row sees is a window of it. */
void fd_draw_kept(const fd_attention *attention, const fd_score_block *part, uint8_t *kept);

/* scale * query key^T + bias. */
void fd_compute_scores(const fd_attention *attention, const fd_score_block *part,
                       const fd_workspace *work);

/* A row of a block, as products read it. */
void fd_round_row(const fd_attention *attention, const fd_workspace *work, size_t row,
                  size_t columns, const char *numbers, char *multiplied);

/* Numbers [from, to) of a row of scores become those of keys that are not seen. */
void fd_hide_scores(const fd_attention *attention, char *scores, size_t from, size_t to);

#endif
