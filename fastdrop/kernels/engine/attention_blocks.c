/* SPDX-License-Identifier: BSD-3-Clause */
#include "attention_blocks.h"

#include <math.h>

enum { ALIGNMENT = 64 };

size_t
fd_lay_out_block(const fd_attention *attention, int backward, char *scratch, fd_workspace *work)
{
    const size_t columns = fd_min(attention->columns, attention->keys);
    const size_t rows = fd_min(attention->rows, attention->queries);
    const size_t kept_bytes = rows * attention->keys / 8 + 1 + FD_PADDING;
    const size_t blocks = backward ? 2 : 1;
    size_t block, rounded = 0;
    /* A group more, lest rows a power of two apart fight for the same places of the caches. */
    work->stride = rounded_up(columns, FD_SOFTMAX_GROUP) + FD_SOFTMAX_GROUP;
    block = rounded_up(rows * work->stride * number_size(attention), ALIGNMENT);
    if (is_rounded(attention)) {
        rounded = block / number_size(attention) * fd_number_size(attention->multiplied);
    }
    if (scratch != NULL) {
        scratch += -(uintptr_t)scratch % ALIGNMENT;
        work->scores = scratch;
        work->gradients = scratch + block;
        scratch += blocks * block;
        work->multiplied_scores = rounded ? scratch : work->scores;
        work->multiplied_gradients = rounded ? scratch + rounded : work->gradients;
        scratch += blocks * rounded;
        work->sums = (double *)(void *)scratch;
        work->kept = (uint8_t *)(scratch + rows * sizeof(double));
    }
    return rounded_up(ALIGNMENT + blocks * (block + rounded) + rows * sizeof(double) + kept_bytes,
                      ALIGNMENT);
}

size_t
fd_attention_scratch(const fd_attention *attention, int backward)
{
    fd_workspace work = {0};
    return fd_lay_out_block(attention, backward, NULL, &work);
}

void
fd_multiply_matrices(const fd_attention *attention, size_t m, size_t n, size_t k, double alpha,
                     const void *a, int64_t a_stride, int a_transposed, const void *b,
                     int64_t b_stride, int b_transposed, double beta, void *c, int64_t c_stride)
{
    const int64_t rows = (int64_t)m, columns = (int64_t)n, inner = (int64_t)k;
    const float narrow[2] = {(float)alpha, (float)beta};
    const double wide[2] = {alpha, beta};
    const int is_wide = attention->dtype == FD_FLOAT64;
    attention->gemm(b_transposed ? "T" : "N", a_transposed ? "T" : "N", &columns, &rows, &inner,
                    is_wide ? (const void *)&wide[0] : (const void *)&narrow[0], b, &b_stride, a,
                    &a_stride, is_wide ? (const void *)&wide[1] : (const void *)&narrow[1], c,
                    &c_stride);
}

fd_score_block
fd_rows_of_head(const fd_attention *attention, size_t head, size_t first)
{
    fd_score_block part = {.head = head, .first = first, .left = 0};
    part.rows = fd_min(attention->rows, attention->queries - first);
    part.columns = keys_seen(attention, first + part.rows - 1);
    return part;
}

void
fd_draw_kept(const fd_attention *attention, const fd_score_block *part, uint8_t *kept)
{
    const uint64_t first = ((uint64_t)part->head * attention->queries + part->first);
    const fd_executor alone = {.workers = 1};
    const fd_arrays arrays = {NULL, NULL, (char *)kept};
    fd_any_mask mask = {.seeded = *attention->seeded};
    fd_cursor cursor = {.has_last = 0};
    const fd_job job = {.kernels = attention->kernels, .mask = &mask};
    const size_t bits = (part->rows - 1) * attention->keys + part->columns;
    mask.seeded.position += first * attention->keys;
    fd_draw(&job, &cursor, bits, arrays, &alone);
    /* The last vector of a row reads bits past its end. They decide nothing. */
    memset(kept + (bits + 7) / 8, 0, FD_PADDING);
}

void
fd_compute_scores(const fd_attention *attention, const fd_score_block *part,
                  const fd_workspace *work)
{
    const size_t size = number_size(attention), key_head = part->head / attention->group;
    const int biased = attention->bias.first != NULL;
    for (size_t row = 0; biased && row < part->rows; row++) {
        const char *bias = row_of(&attention->bias, part->head, part->first + row);
        memcpy(work->scores + row * work->stride * size, bias + part->left * size,
               part->columns * size);
    }
    fd_multiply_matrices(attention, part->rows, part->columns, attention->width, attention->scale,
                         row_of(&attention->query, part->head, part->first),
                         attention->query.stride, 0, row_of(&attention->key, key_head, part->left),
                         attention->key.stride, 1, biased ? 1.0 : 0.0, work->scores,
                         (int64_t)work->stride);
}

void
fd_round_row(const fd_attention *attention, const fd_workspace *work, size_t row, size_t columns,
             const char *numbers, char *multiplied)
{
    const size_t first = row * work->stride;
    if (is_rounded(attention)) {
        attention->kernels->round[attention->multiplied](
            numbers + first * number_size(attention), columns,
            multiplied + first * fd_number_size(attention->multiplied));
    }
}

void
fd_hide_scores(const fd_attention *attention, char *scores, size_t from, size_t to)
{
    if (attention->dtype == FD_FLOAT64) {
        for (size_t i = from; i < to; i++) {
            ((double *)(void *)scores)[i] = -INFINITY;
        }
    } else {
        for (size_t i = from; i < to; i++) {
            ((float *)(void *)scores)[i] = -INFINITY;
        }
    }
}
