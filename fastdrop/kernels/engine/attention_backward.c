/* SPDX-License-Identifier: BSD-3-Clause */
#include "attention_blocks.h"

enum { MOST_RANGES = 8 };

static double
of_float(float x)
{
    return x;
}

static double
of_double(double x)
{
    return x;
}

static double
of_bfloat16(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* The product of two rows of n numbers, whose sums for each place of a group of 8 are registers. */
#define DEFINE_PRODUCT(NAME, LEFT, of_left, RIGHT, of_right)                                       \
    static double NAME(const char *a, const char *b, size_t n)                                     \
    {                                                                                              \
        const LEFT *left = (const LEFT *)(const void *)a;                                          \
        const RIGHT *right = (const RIGHT *)(const void *)b;                                       \
        double sum[8] = {0};                                                                       \
        size_t i = 0;                                                                              \
        for (; i + 8 <= n; i += 8) {                                                               \
            for (size_t place = 0; place < 8; place++) {                                           \
                sum[place] += of_left(left[i + place]) * of_right(right[i + place]);               \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            sum[i % 8] += of_left(left[i]) * of_right(right[i]);                                   \
        }                                                                                          \
        return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));  \
    }

DEFINE_PRODUCT(product_of_floats, float, of_float, float, of_float)
DEFINE_PRODUCT(product_of_doubles, double, of_double, double, of_double)
DEFINE_PRODUCT(product_with_bfloat16, float, of_float, uint16_t, of_bfloat16)

/* The product of a row of out and one of its gradient. */
static double
product_of_rows(const fd_attention *attention, size_t head, size_t row)
{
    const char *out = row_of(&attention->out, head, row);
    const char *gradient = row_of(&attention->out_gradient, head, row);
    const size_t n = attention->value_width;
    if (is_rounded(attention)) {
        return product_with_bfloat16(out, gradient, n);
    }
    return attention->dtype == FD_FLOAT64 ? product_of_doubles(out, gradient, n)
                                          : product_of_floats(out, gradient, n);
}

/* scores -> weights after dropout, gradients of these -> gradients of the scores. */
static void
turn_gradients(const fd_attention *attention, const fd_score_block *part, const fd_workspace *work)
{
    const size_t size = number_size(attention);
    for (size_t row = 0; row < part->rows; row++) {
        const size_t index = part->head * attention->queries + part->first + row;
        const size_t seen = columns_seen(attention, part, part->first + row);
        const size_t padded = rounded_up(seen, FD_SOFTMAX_GROUP);
        const size_t rest = (rounded_up(part->columns, FD_SOFTMAX_GROUP) - padded) * size;
        char *scores = work->scores + row * work->stride * size;
        char *gradients = work->gradients + row * work->stride * size;
        const size_t at = row * attention->keys + part->left;
        fd_softmax softmax = {.largest = attention->largest[index],
                              .inverse = attention->inverse[index],
                              .factor = attention->factor,
                              .scale = attention->scale};
        fd_hide_scores(attention, scores, seen, padded);
        memset(gradients + seen * size, 0, (padded - seen) * size);
        attention->kernels->softmax_weights[attention->dtype](scores, gradients, padded, work->kept,
                                                              at, &softmax);
        if (attention->out.first != NULL) { /* the block has a part of the row */
            softmax.delta = work->sums[row];
        }
        attention->kernels->softmax_backward[attention->dtype](scores, gradients, padded,
                                                               work->kept, at, &softmax);
        memset(scores + padded * size, 0, rest);
        memset(gradients + padded * size, 0, rest);
        fd_round_row(attention, work, row, part->columns, work->scores, work->multiplied_scores);
        fd_round_row(attention, work, row, part->columns, work->gradients,
                     work->multiplied_gradients);
    }
}

/* Which gradients to compute, of the blocks of which heads, rows and columns. */
typedef struct {
    int of_query, of_key;
    size_t head, heads_end, row, rows_end, column, columns_end;
} range;

/* What one block adds to the gradients. */
static void
backward_block(const fd_attention *attention, const range *todo, const fd_score_block *part,
               const fd_workspace *work)
{
    const size_t head = part->head, key_head = head / attention->group;
    const int64_t stride = (int64_t)work->stride;
    const fd_matrices *out_gradient = &attention->out_gradient;
    const char *gradient = row_of(out_gradient, head, part->first);
    fd_compute_scores(attention, part, work);
    fd_multiply_matrices(attention, part->rows, part->columns, attention->value_width, 1.0,
                         gradient, out_gradient->stride, 0,
                         row_of(&attention->value, key_head, part->left), attention->value.stride,
                         1, 0.0, work->gradients, stride);
    turn_gradients(attention, part, work);
    if (todo->of_key) {
        fd_multiply_matrices(attention, part->columns, attention->value_width, part->rows, 1.0,
                             work->multiplied_scores, stride, 1, gradient, out_gradient->stride, 0,
                             1.0, row_of(&attention->value_gradient, key_head, part->left),
                             attention->value_gradient.stride);
        fd_multiply_matrices(attention, part->columns, attention->width, part->rows, 1.0,
                             work->multiplied_gradients, stride, 1,
                             row_of(&attention->query, head, part->first), attention->query.stride,
                             0, 1.0, row_of(&attention->key_gradient, key_head, part->left),
                             attention->key_gradient.stride);
    }
    if (todo->of_query) {
        fd_multiply_matrices(
            attention, part->rows, attention->width, part->columns, 1.0, work->multiplied_gradients,
            stride, 0, row_of(&attention->key, key_head, part->left), attention->key.stride, 0,
            part->left ? 1.0 : 0.0, row_of(&attention->query_gradient, head, part->first),
            attention->query_gradient.stride);
    }
}

/* Columns [column, columns_end) of the blocks of rows that start at `first`. */
static void
backward_rows(const fd_attention *attention, const range *todo, size_t head, size_t first,
              const fd_workspace *work)
{
    fd_score_block part = fd_rows_of_head(attention, head, first);
    const size_t seen = fd_min(part.columns, todo->columns_end);
    if (seen <= todo->column) {
        return;
    }
    fd_draw_kept(attention, &part, work->kept);
    for (size_t row = 0; attention->out.first != NULL && row < part.rows; row++) {
        work->sums[row] = product_of_rows(attention, head, first + row);
    }
    for (part.left = todo->column; part.left < seen; part.left += attention->columns) {
        part.columns = fd_min(attention->columns, seen - part.left);
        backward_block(attention, todo, &part, work);
    }
}

static void
clear(const fd_attention *attention, const fd_matrices *matrices, const range *todo, size_t width)
{
    for (size_t row = todo->column; row < todo->columns_end; row++) {
        memset(row_of(matrices, todo->head / attention->group, row), 0,
               width * number_size(attention));
    }
}

/* The columns of a range, where backward is split: whole blocks, and few ranges, for each of
 * them draws the masks of its rows again. */
static size_t
columns_of_range(const fd_attention *attention)
{
    const size_t blocks = (attention->keys + attention->columns - 1) / attention->columns;
    return (blocks + MOST_RANGES - 1) / MOST_RANGES * attention->columns;
}

static size_t
ranges_of_columns(const fd_attention *attention)
{
    const size_t columns = columns_of_range(attention);
    return (attention->keys + columns - 1) / columns;
}

size_t
fd_attention_parts(const fd_attention *attention, int backward)
{
    const size_t key_heads = attention->heads / attention->group;
    const size_t parts_of_queries = attention->heads * blocks_of_rows(attention);
    if (!backward) {
        return parts_of_queries;
    }
    return attention->split ? key_heads * ranges_of_columns(attention) + parts_of_queries
                            : key_heads;
}

/* Of keys and queries at once; or of a range of keys; or, these done, of a block of queries. */
static range
range_of_part(const fd_attention *attention, size_t part)
{
    const size_t group = attention->group, ranges = ranges_of_columns(attention);
    const size_t parts_of_keys = attention->heads / group * ranges;
    range todo = {.of_query = 1,
                  .of_key = 1,
                  .head = part * group,
                  .rows_end = attention->queries,
                  .columns_end = attention->keys};
    if (attention->split && part < parts_of_keys) {
        todo.of_query = 0;
        todo.head = part / ranges * group;
        todo.column = part % ranges * columns_of_range(attention);
        todo.columns_end = fd_min(todo.column + columns_of_range(attention), attention->keys);
    } else if (attention->split) {
        const size_t blocks = blocks_of_rows(attention), index = part - parts_of_keys;
        todo.of_key = 0;
        todo.head = index / blocks;
        todo.row = index % blocks * attention->rows;
        todo.rows_end = fd_min(todo.row + attention->rows, attention->queries);
    }
    todo.heads_end = todo.head + (todo.of_key ? group : 1);
    return todo;
}

void
fd_attention_backward(const fd_attention *attention, size_t part, void *scratch)
{
    const range todo = range_of_part(attention, part);
    fd_workspace work = {0};
    fd_lay_out_block(attention, 1, (char *)scratch, &work);
    if (todo.of_key) {
        clear(attention, &attention->key_gradient, &todo, attention->width);
        clear(attention, &attention->value_gradient, &todo, attention->value_width);
    }
    for (size_t head = todo.head; head < todo.heads_end; head++) {
        for (size_t row = todo.row; row < todo.rows_end; row += attention->rows) {
            backward_rows(attention, &todo, head, row, &work);
        }
    }
}
