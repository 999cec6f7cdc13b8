/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs attention by blocks, with a plain matrix product, on every table that this machine can run:
 * forward and backward, in one block and in many, keys and queries together and apart. Results of
 * the same blocks are the same on all tables; those of others, and those of the formula, differ by
 * roundings. Prints how many comparisons agreed.
 *
 * Every tensor is memory of its own, so that a sanitizer sees what goes past it.
 */
#include <math.h>

#include "allocate.h"
#include "engine/attention.h"
#include "engine/cpu.h"

typedef struct {
    fd_dtype dtype;
    int causal, biased;
    size_t heads, group, queries, keys, width, value_width;
} problem;

static const problem problems[] = {
    {FD_FLOAT32, 0, 0, 2, 1, 19, 37, 5, 7},  {FD_FLOAT32, 1, 0, 4, 2, 33, 33, 8, 3},
    {FD_FLOAT64, 0, 1, 2, 2, 1, 17, 4, 4},   {FD_FLOAT64, 1, 1, 3, 1, 40, 21, 3, 9},
    {FD_FLOAT32, 0, 1, 1, 1, 16, 64, 16, 1}, {FD_FLOAT64, 0, 0, 6, 3, 5, 1, 1, 2},
};
static const size_t blocks[][2] = {{1000, 1000}, {5, 7}, {16, 16}, {1, 1}}; /* rows, columns */

enum { PROBLEMS = sizeof problems / sizeof *problems, BLOCKS = sizeof blocks / sizeof *blocks };
enum { QUERY, KEY, VALUE, OUT, BIAS, D_OUT, D_QUERY, D_KEY, D_VALUE, TENSORS };
enum { MOST_HEADS = 6 };

/* What a run computes: out, and the gradients of query, key and value, as doubles. */
static const int results[] = {OUT, D_QUERY, D_KEY, D_VALUE};

/* ---- tensors ---------------------------------------------------------------------------- */

static size_t
heads_of(const problem *of, int tensor)
{
    const int of_keys = tensor == KEY || tensor == VALUE || tensor == D_KEY || tensor == D_VALUE;
    return of_keys ? of->heads / of->group : of->heads;
}

static size_t
rows_of(const problem *of, int tensor)
{
    const int of_keys = tensor == KEY || tensor == VALUE || tensor == D_KEY || tensor == D_VALUE;
    return of_keys ? of->keys : of->queries;
}

static size_t
columns_of(const problem *of, int tensor)
{
    switch (tensor) {
    case BIAS:
        return of->keys;
    case VALUE:
    case OUT:
    case D_OUT:
    case D_VALUE:
        return of->value_width;
    default:
        return of->width;
    }
}

static size_t
size_of(const problem *of, int tensor)
{
    return heads_of(of, tensor) * rows_of(of, tensor) * columns_of(of, tensor);
}

static double
number_at(const problem *of, const void *tensor, size_t i)
{
    return of->dtype == FD_FLOAT64 ? ((const double *)tensor)[i] : ((const float *)tensor)[i];
}

/* Numbers in [-1, 1) that are different everywhere. */
static void
fill(const problem *of, void *tensor, size_t n, uint32_t state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        const double number = (double)(state >> 8) / 8388608.0 - 1.0;
        if (of->dtype == FD_FLOAT64) {
            ((double *)tensor)[i] = number;
        } else {
            ((float *)tensor)[i] = (float)number;
        }
    }
}

/* ---- the plain matrix product ----------------------------------------------------------- */

#define DEFINE_GEMM(NAME, NUMBER)                                                                  \
    static void NAME(const char *a_transposed, const char *b_transposed, const int64_t *m,         \
                     const int64_t *n, const int64_t *k, const void *alpha, const void *a,         \
                     const int64_t *a_stride, const void *b, const int64_t *b_stride,              \
                     const void *beta, void *c, const int64_t *c_stride)                           \
    {                                                                                              \
        const int64_t a_row = *a_transposed == 'T' ? *a_stride : 1;                                \
        const int64_t a_column = *a_transposed == 'T' ? 1 : *a_stride;                             \
        const int64_t b_row = *b_transposed == 'T' ? *b_stride : 1;                                \
        const int64_t b_column = *b_transposed == 'T' ? 1 : *b_stride;                             \
        const NUMBER by = *(const NUMBER *)alpha, old = *(const NUMBER *)beta;                     \
        for (int64_t column = 0; column < *n; column++) {                                          \
            for (int64_t row = 0; row < *m; row++) {                                               \
                NUMBER *to = (NUMBER *)c + row + column * *c_stride, sum = 0;                      \
                for (int64_t i = 0; i < *k; i++) {                                                 \
                    sum += ((const NUMBER *)a)[row * a_row + i * a_column] *                       \
                           ((const NUMBER *)b)[i * b_row + column * b_column];                     \
                }                                                                                  \
                *to = by * sum + (old != 0 ? old * *to : 0);                                       \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_GEMM(gemm_float32, float)
DEFINE_GEMM(gemm_float64, double)

/* ---- runs ------------------------------------------------------------------------------- */

static fd_seeded
mask(void)
{
    fd_seeded seeded = {.source = FD_XOSHIRO256PLUSPLUS,
                        .identity = {{1, 2}, {3, 4}},
                        .position = 77,
                        .threshold = {0x4CCCCCCCCCCCCCCDu, 0}}; /* p = 0.3 */
    seeded.ties = fd_tagged(&seeded.identity, "fd:tiexo");
    return seeded;
}

/* All results one after the other, in the tensors' type. Backward may do without the output where
 * a block has all columns. */
static void *
run(const problem *of, const fd_kernels *kernels, const size_t block[2], int split, int keeps_out,
    size_t *bytes)
{
    const size_t size = of->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    void *tensors[TENSORS];
    int64_t offsets[TENSORS][MOST_HEADS];
    fd_matrices matrices[TENSORS];
    double *largest = (double *)allocate(of->heads * of->queries * sizeof *largest);
    double *inverse = (double *)allocate(of->heads * of->queries * sizeof *inverse);
    const fd_seeded seeded = mask();
    for (int i = 0; i < TENSORS; i++) {
        const size_t columns = columns_of(of, i), step = rows_of(of, i) * columns;
        tensors[i] = allocate(size_of(of, i) * size);
        fill(of, tensors[i], size_of(of, i), (uint32_t)i);
        for (size_t head = 0; head < heads_of(of, i); head++) {
            offsets[i][head] = (int64_t)(head * step);
        }
        matrices[i] = (fd_matrices){tensors[i], of->dtype, offsets[i], (int64_t)columns};
    }
    fd_attention attention = {.kernels = kernels,
                              .seeded = &seeded,
                              .gemm = of->dtype == FD_FLOAT64 ? gemm_float64 : gemm_float32,
                              .dtype = of->dtype,
                              .multiplied = of->dtype,
                              .causal = of->causal,
                              .scale = 0.5,
                              .factor = 1.0 / 0.7,
                              .heads = of->heads,
                              .group = of->group,
                              .queries = of->queries,
                              .keys = of->keys,
                              .width = of->width,
                              .value_width = of->value_width,
                              .query = matrices[QUERY],
                              .key = matrices[KEY],
                              .value = matrices[VALUE],
                              .out = matrices[OUT],
                              .largest = largest,
                              .inverse = inverse,
                              .out_gradient = matrices[D_OUT],
                              .query_gradient = matrices[D_QUERY],
                              .key_gradient = matrices[D_KEY],
                              .value_gradient = matrices[D_VALUE],
                              .rows = block[0],
                              .columns = block[1],
                              .split = split};
    if (of->biased) {
        attention.bias = matrices[BIAS];
    }
    for (int backward = 0; backward < 2; backward++) {
        attention.out.first = backward && !keeps_out ? NULL : tensors[OUT];
        void *scratch = allocate(fd_attention_scratch(&attention, backward));
        for (size_t part = 0; part < fd_attention_parts(&attention, backward); part++) {
            (backward ? fd_attention_backward : fd_attention_forward)(&attention, part, scratch);
        }
        free(scratch);
    }
    *bytes = 0;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        *bytes += size_of(of, results[i]) * size;
    }
    uint8_t *all = (uint8_t *)allocate(*bytes), *to = all;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        memcpy(to, tensors[results[i]], size_of(of, results[i]) * size);
        to += size_of(of, results[i]) * size;
    }
    for (int i = 0; i < TENSORS; i++) {
        free(tensors[i]);
    }
    free(largest);
    free(inverse);
    return all;
}

/* ---- the formula ------------------------------------------------------------------------ */

/* out of one row, in double. */
static void
attend_row(const problem *of, const void *const *tensors, const uint8_t *kept, size_t head,
           size_t row, double *out)
{
    const size_t key_head = head / of->group;
    const size_t seen = of->causal ? fd_min(row + 1, of->keys) : of->keys;
    double *weights = (double *)allocate(seen * sizeof *weights), sum = 0;
    for (size_t j = 0; j < seen; j++) {
        double score = 0;
        for (size_t i = 0; i < of->width; i++) {
            score += number_at(of, tensors[QUERY], (head * of->queries + row) * of->width + i) *
                     number_at(of, tensors[KEY], (key_head * of->keys + j) * of->width + i);
        }
        score *= 0.5;
        if (of->biased) {
            score += number_at(of, tensors[BIAS], (head * of->queries + row) * of->keys + j);
        }
        weights[j] = exp(score);
        sum += weights[j];
    }
    for (size_t i = 0; i < of->value_width; i++) {
        out[i] = 0;
        for (size_t j = 0; j < seen; j++) {
            const uint64_t bit = (head * of->queries + row) * of->keys + j;
            const double value =
                number_at(of, tensors[VALUE], (key_head * of->keys + j) * of->value_width + i);
            out[i] += kept[bit / 8] >> bit % 8 & 1 ? weights[j] / sum / 0.7 * value : 0;
        }
    }
    free(weights);
}

/* Whether the results begin with what the formula gives. */
static int
is_the_formula(const problem *of, const fd_kernels *kernels, const void *all)
{
    const size_t size = of->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    const size_t n = of->heads * of->queries * of->keys;
    const double allowed = of->dtype == FD_FLOAT64 ? 1e-12 : 1e-5;
    uint8_t *kept = (uint8_t *)allocate(n / 8 + 1 + FD_PADDING);
    double *out = (double *)allocate(of->value_width * sizeof *out);
    void *tensors[TENSORS];
    const fd_any_mask whole = {.seeded = mask()};
    const fd_job job = {.kernels = kernels, .mask = &whole};
    const fd_executor alone = {.workers = 1};
    const fd_arrays arrays = {NULL, NULL, (char *)kept};
    fd_cursor cursor = {.has_last = 0};
    int same = 1;
    fd_draw(&job, &cursor, n, arrays, &alone);
    for (int i = 0; i < TENSORS; i++) {
        tensors[i] = allocate(size_of(of, i) * size);
        fill(of, tensors[i], size_of(of, i), (uint32_t)i);
    }
    for (size_t head = 0; head < of->heads; head++) {
        for (size_t row = 0; row < of->queries; row++) {
            attend_row(of, (const void *const *)tensors, kept, head, row, out);
            for (size_t i = 0; i < of->value_width; i++) {
                const size_t at = (head * of->queries + row) * of->value_width + i;
                same &= fabs(number_at(of, all, at) - out[i]) <= allowed;
            }
        }
    }
    for (int i = 0; i < TENSORS; i++) {
        free(tensors[i]);
    }
    free(out);
    free(kept);
    return same;
}

static int
are_near(const problem *of, const void *a, const void *b, size_t bytes)
{
    const size_t size = of->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    const double allowed = of->dtype == FD_FLOAT64 ? 1e-12 : 1e-5;
    for (size_t i = 0; i < bytes / size; i++) {
        if (!(fabs(number_at(of, a, i) - number_at(of, b, i)) <= allowed)) {
            return 0;
        }
    }
    return 1;
}

int
main(void)
{
    const fd_kernels *tables[FD_MAX_TABLES];
    const int count = fd_cpu_tables(tables);
    size_t failed = 0, passed = 0, bytes;
    for (size_t which = 0; which < PROBLEMS; which++) {
        const problem *of = &problems[which];
        void *whole = run(of, tables[0], blocks[0], 0, 1, &bytes);
        int right = is_the_formula(of, tables[0], whole);
        for (size_t i = 0; i < BLOCKS; i++) {
            const int keeps_out = blocks[i][1] < of->keys;
            void *first = run(of, tables[0], blocks[i], 0, keeps_out, &bytes);
            right &= are_near(of, first, whole, bytes);
            for (int table = 0; table < count; table++) {
                for (int split = 0; split < 2; split++) {
                    void *again = run(of, tables[table], blocks[i], split, keeps_out, &bytes);
                    if (right && memcmp(again, first, bytes) == 0) {
                        passed++;
                    } else if (failed++ < 20) {
                        printf("FAILED %s attention %zu (blocks of %zu x %zu, split %d)\n",
                               tables[table]->name, which, blocks[i][0], blocks[i][1], split);
                    }
                    free(again);
                }
            }
            free(first);
        }
        free(whole);
    }
    printf("attention | %zu passed, %zu failed\n", passed, failed);
    return failed || !passed;
}
