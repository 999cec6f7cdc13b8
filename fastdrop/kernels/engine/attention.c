/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "attention_blocks.h"

/* A row of out gets the factor that its weights lack. */
static void
scale_row(const fd_attention *attention, char *row, double factor)
{
    if (attention->dtype == FD_FLOAT64) {
        for (size_t i = 0; i < attention->value_width; i++) {
            ((double *)(void *)row)[i] *= factor;
        }
    } else {
        for (size_t i = 0; i < attention->value_width; i++) {
            ((float *)(void *)row)[i] *= (float)factor;
        }
    }
}

/* A block of scores becomes weights of the row's largest score so far, which may be a new one:
 * then what the blocks before it have given is less. */
static void
forward_block(const fd_attention *attention, const fd_score_block *part, char *out,
              const fd_workspace *work)
{
    const size_t size = number_size(attention), out_stride = (size_t)attention->out.stride * size;
    fd_compute_scores(attention, part, work);
    for (size_t row = 0; row < part->rows; row++) {
        const size_t index = part->head * attention->queries + part->first + row;
        const size_t seen = columns_seen(attention, part, part->first + row);
        const size_t padded = rounded_up(seen, FD_SOFTMAX_GROUP);
        char *scores = work->scores + row * work->stride * size;
        fd_softmax softmax = {.largest = attention->largest[index]};
        fd_hide_scores(attention, scores, seen, padded);
        attention->kernels->softmax[attention->dtype](scores, padded, work->kept,
                                                      row * attention->keys + part->left, &softmax);
        memset(scores + padded * size, 0,
               (rounded_up(part->columns, FD_SOFTMAX_GROUP) - padded) * size);
        fd_round_row(attention, work, row, part->columns, work->scores, work->multiplied_scores);
        if (softmax.inverse != 0) {
            const double rest = exp(attention->largest[index] - softmax.largest);
            if (part->left && rest != 1) {
                scale_row(attention, out + row * out_stride, rest);
            }
            work->sums[row] = work->sums[row] * rest + 1 / softmax.inverse;
            attention->largest[index] = softmax.largest;
        }
    }
    fd_multiply_matrices(attention, part->rows, attention->value_width, part->columns, 1.0,
                         work->multiplied_scores, (int64_t)work->stride, 0,
                         row_of(&attention->value, part->head / attention->group, part->left),
                         attention->value.stride, 0, part->left ? 1.0 : 0.0, out,
                         attention->out.stride);
}

void
fd_attention_forward(const fd_attention *attention, size_t part_index, void *scratch)
{
    const size_t blocks = blocks_of_rows(attention);
    fd_score_block part =
        fd_rows_of_head(attention, part_index / blocks, part_index % blocks * attention->rows);
    const size_t first = part.head * attention->queries + part.first, seen = part.columns;
    fd_workspace work = {0};
    fd_lay_out_block(attention, 0, (char *)scratch, &work);
    fd_draw_kept(attention, &part, work.kept);
    for (size_t row = 0; row < part.rows; row++) {
        attention->largest[first + row] = -INFINITY;
        work.sums[row] = 0;
    }
    for (part.left = 0; part.left < seen; part.left += attention->columns) {
        part.columns = fd_min(attention->columns, seen - part.left);
        forward_block(attention, &part, row_of(&attention->out, part.head, part.first), &work);
    }
    for (size_t row = 0; row < part.rows; row++) {
        const double sum = work.sums[row], inverse = sum == 0 ? 0 : 1 / sum;
        attention->inverse[first + row] = inverse;
        if (sum == 0) {
            attention->largest[first + row] = 0; /* all keys are masked */
        }
        scale_row(attention, row_of(&attention->out, part.head, part.first + row),
                  attention->factor * inverse);
    }
}
