/* SPDX-License-Identifier: BSD-3-Clause */
#include "attention.h"

#include <math.h>

enum { GROUP = 16, ALIGNMENT = 64, MOST_RANGES = 8 };

/* Bytes of a score. */
static size_t
number_size(const fd_attention *attention)
{
    return fd_number_size(attention->dtype);
}

static int
is_rounded(const fd_attention *attention)
{
    return attention->multiplied != attention->dtype;
}

static size_t
rounded_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* ---- scratch memory --------------------------------------------------------------------- */

/* A block of scores and, in backward, of gradients; the kept bits of its rows, for all keys. */
typedef struct {
    char *scores, *gradients;
    char *multiplied_scores, *multiplied_gradients; /* rounded; or the same */
    double *sums; /* of each row: of its exponentials so far; in backward, delta of fd_softmax */
    uint8_t *kept;
    size_t stride; /* numbers from a row of the blocks to the next */
} workspace;

/* Sets where things lie, unless `scratch` is NULL, and returns the bytes that they take. */
static size_t
lay_out(const fd_attention *attention, int backward, char *scratch, workspace *work)
{
    const size_t columns = fd_min(attention->columns, attention->keys);
    const size_t rows = fd_min(attention->rows, attention->queries);
    const size_t kept_bytes = rows * attention->keys / 8 + 1 + FD_PADDING;
    const size_t blocks = backward ? 2 : 1;
    size_t block, rounded = 0;
    /* A group more, lest rows a power of two apart fight for the same places of the caches. */
    work->stride = rounded_up(columns, GROUP) + GROUP;
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
    workspace work = {0};
    return lay_out(attention, backward, NULL, &work);
}

/* ---- matrices by rows ------------------------------------------------------------------- */

static char *
row_of(const fd_matrices *matrices, size_t head, size_t row)
{
    const int64_t number = matrices->offsets[head] + (int64_t)row * matrices->stride;
    return (char *)matrices->first + number * (int64_t)fd_number_size(matrices->dtype);
}

/* c (m, n) = alpha * a b + beta * c, by rows; a is (m, k) or, transposed, (k, m); b (k, n) or
 * (n, k). Which is the product of the transposed matrices, in the other order, by columns. */
static void
multiply(const fd_attention *attention, size_t m, size_t n, size_t k, double alpha, const void *a,
         int64_t a_stride, int a_transposed, const void *b, int64_t b_stride, int b_transposed,
         double beta, void *c, int64_t c_stride)
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

/* ---- blocks ----------------------------------------------------------------------------- */

/* Rows [first, first + rows) of a head, and of their keys [left, left + columns). */
typedef struct {
    size_t head, first, rows, left, columns;
} block;

/* How many keys a row sees. */
static size_t
keys_seen(const fd_attention *attention, size_t row)
{
    return attention->causal ? fd_min(row + 1, attention->keys) : attention->keys;
}

/* How many of the block's keys a row sees. */
static size_t
columns_seen(const fd_attention *attention, const block *part, size_t row)
{
    const size_t seen = keys_seen(attention, row);
    return seen > part->left ? fd_min(seen - part->left, part->columns) : 0;
}

static block
rows_of_head(const fd_attention *attention, size_t head, size_t first)
{
    block part = {.head = head, .first = first, .left = 0};
    part.rows = fd_min(attention->rows, attention->queries - first);
    part.columns = keys_seen(attention, first + part.rows - 1);
    return part;
}

/* The mask of the block's rows, for all keys: what a row sees is a window of it. */
static void
draw_kept(const fd_attention *attention, const block *part, uint8_t *kept)
{
    const uint64_t first = ((uint64_t)part->head * attention->queries + part->first);
    const fd_executor alone = {NULL, 1, NULL};
    const fd_arrays arrays = {NULL, NULL, (char *)kept};
    fd_any_mask mask = {.seeded = *attention->seeded};
    fd_cursor cursor = {.has_last = 0};
    const fd_job job = {.kernels = attention->kernels, .mask = &mask};
    mask.seeded.position += first * attention->keys;
    fd_draw(&job, &cursor, (part->rows - 1) * attention->keys + part->columns, arrays, &alone);
}

/* scale * query key^T + bias. */
static void
compute_scores(const fd_attention *attention, const block *part, const workspace *work)
{
    const size_t size = number_size(attention), key_head = part->head / attention->group;
    const int biased = attention->bias.first != NULL;
    for (size_t row = 0; biased && row < part->rows; row++) {
        const char *bias = row_of(&attention->bias, part->head, part->first + row);
        memcpy(work->scores + row * work->stride * size, bias + part->left * size,
               part->columns * size);
    }
    multiply(attention, part->rows, part->columns, attention->width, attention->scale,
             row_of(&attention->query, part->head, part->first), attention->query.stride, 0,
             row_of(&attention->key, key_head, part->left), attention->key.stride, 1,
             biased ? 1.0 : 0.0, work->scores, (int64_t)work->stride);
}

/* A row of a block, as products read it. */
static void
round_row(const fd_attention *attention, const workspace *work, size_t row, size_t columns,
          const char *numbers, char *multiplied)
{
    const size_t first = row * work->stride;
    if (is_rounded(attention)) {
        attention->kernels->round[attention->multiplied](
            numbers + first * number_size(attention), columns,
            multiplied + first * fd_number_size(attention->multiplied));
    }
}

/* Numbers [from, to) of a row of scores become those of keys that are not seen. */
static void
hide(const fd_attention *attention, char *scores, size_t from, size_t to)
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

/* ---- forward ---------------------------------------------------------------------------- */

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

static size_t
blocks_of_rows(const fd_attention *attention)
{
    return (attention->queries + attention->rows - 1) / attention->rows;
}

/* A block of scores becomes weights of the row's largest score so far, which may be a new one:
 * then what the blocks before it have given is less. */
static void
forward_block(const fd_attention *attention, const block *part, char *out, const workspace *work)
{
    const size_t size = number_size(attention), out_stride = (size_t)attention->out.stride * size;
    compute_scores(attention, part, work);
    for (size_t row = 0; row < part->rows; row++) {
        const size_t index = part->head * attention->queries + part->first + row;
        const size_t seen = columns_seen(attention, part, part->first + row);
        const size_t padded = rounded_up(seen, GROUP);
        char *scores = work->scores + row * work->stride * size;
        fd_softmax softmax = {.largest = attention->largest[index]};
        hide(attention, scores, seen, padded);
        attention->kernels->softmax[attention->dtype](scores, padded, work->kept,
                                                      row * attention->keys + part->left, &softmax);
        memset(scores + padded * size, 0, (rounded_up(part->columns, GROUP) - padded) * size);
        round_row(attention, work, row, part->columns, work->scores, work->multiplied_scores);
        if (softmax.inverse != 0) {
            const double rest = exp(attention->largest[index] - softmax.largest);
            if (part->left && rest != 1) {
                scale_row(attention, out + row * out_stride, rest);
            }
            work->sums[row] = work->sums[row] * rest + 1 / softmax.inverse;
            attention->largest[index] = softmax.largest;
        }
    }
    multiply(attention, part->rows, attention->value_width, part->columns, 1.0,
             work->multiplied_scores, (int64_t)work->stride, 0,
             row_of(&attention->value, part->head / attention->group, part->left),
             attention->value.stride, 0, part->left ? 1.0 : 0.0, out, attention->out.stride);
}

void
fd_attention_forward(const fd_attention *attention, size_t part_index, void *scratch)
{
    const size_t blocks = blocks_of_rows(attention);
    block part =
        rows_of_head(attention, part_index / blocks, part_index % blocks * attention->rows);
    const size_t first = part.head * attention->queries + part.first, seen = part.columns;
    workspace work = {0};
    lay_out(attention, 0, (char *)scratch, &work);
    draw_kept(attention, &part, work.kept);
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

/* ---- backward --------------------------------------------------------------------------- */

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
turn_gradients(const fd_attention *attention, const block *part, const workspace *work)
{
    const size_t size = number_size(attention);
    for (size_t row = 0; row < part->rows; row++) {
        const size_t index = part->head * attention->queries + part->first + row;
        const size_t seen = columns_seen(attention, part, part->first + row);
        const size_t padded = rounded_up(seen, GROUP);
        const size_t rest = (rounded_up(part->columns, GROUP) - padded) * size;
        char *scores = work->scores + row * work->stride * size;
        char *gradients = work->gradients + row * work->stride * size;
        const size_t at = row * attention->keys + part->left;
        fd_softmax softmax = {.largest = attention->largest[index],
                              .inverse = attention->inverse[index],
                              .factor = attention->factor,
                              .scale = attention->scale};
        hide(attention, scores, seen, padded);
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
        round_row(attention, work, row, part->columns, work->scores, work->multiplied_scores);
        round_row(attention, work, row, part->columns, work->gradients, work->multiplied_gradients);
    }
}

/* Which gradients to compute, of the blocks of which heads, rows and columns. */
typedef struct {
    int of_query, of_key;
    size_t head, heads_end, row, rows_end, column, columns_end;
} range;

/* What one block adds to the gradients. */
static void
backward_block(const fd_attention *attention, const range *todo, const block *part,
               const workspace *work)
{
    const size_t head = part->head, key_head = head / attention->group;
    const int64_t stride = (int64_t)work->stride;
    const fd_matrices *out_gradient = &attention->out_gradient;
    const char *gradient = row_of(out_gradient, head, part->first);
    compute_scores(attention, part, work);
    multiply(attention, part->rows, part->columns, attention->value_width, 1.0, gradient,
             out_gradient->stride, 0, row_of(&attention->value, key_head, part->left),
             attention->value.stride, 1, 0.0, work->gradients, stride);
    turn_gradients(attention, part, work);
    if (todo->of_key) {
        multiply(attention, part->columns, attention->value_width, part->rows, 1.0,
                 work->multiplied_scores, stride, 1, gradient, out_gradient->stride, 0, 1.0,
                 row_of(&attention->value_gradient, key_head, part->left),
                 attention->value_gradient.stride);
        multiply(attention, part->columns, attention->width, part->rows, 1.0,
                 work->multiplied_gradients, stride, 1,
                 row_of(&attention->query, head, part->first), attention->query.stride, 0, 1.0,
                 row_of(&attention->key_gradient, key_head, part->left),
                 attention->key_gradient.stride);
    }
    if (todo->of_query) {
        multiply(attention, part->rows, attention->width, part->columns, 1.0,
                 work->multiplied_gradients, stride, 0,
                 row_of(&attention->key, key_head, part->left), attention->key.stride, 0,
                 part->left ? 1.0 : 0.0, row_of(&attention->query_gradient, head, part->first),
                 attention->query_gradient.stride);
    }
}

/* Columns [column, columns_end) of the blocks of rows that start at `first`. */
static void
backward_rows(const fd_attention *attention, const range *todo, size_t head, size_t first,
              const workspace *work)
{
    block part = rows_of_head(attention, head, first);
    const size_t seen = fd_min(part.columns, todo->columns_end);
    if (seen <= todo->column) {
        return;
    }
    draw_kept(attention, &part, work->kept);
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
    workspace work = {0};
    lay_out(attention, 1, (char *)scratch, &work);
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
