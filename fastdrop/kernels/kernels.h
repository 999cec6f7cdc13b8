/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The table of kernels: one function pointer per stage, one table per instruction set.
 * Every table computes the same bits and the same floats; only their speed differs.
 *
 *     source: fill       key, counter, step   -> bytes
 *     mask:   decide     position, threshold  -> kept bits (one per element, LSB first); the
 *                                                bytes of `fill` stay in registers
 *             threshold  bytes, threshold     -> kept bits
 *             normal     bytes, deviation     -> factors of mean 1 (the mask of Gaussian dropout)
 *             multiply_normal                 -> `normal`, and `multiply` with it, in one pass
 *             heads, compare, digits          -> kept bits, with a probability for each element
 *     apply:  apply      kept bits, x, scale  -> y = kept ? x * scale : +0, and its relatives
 *             factors    probabilities        -> factors of kept elements, one for each
 *             multiply   factors, x           -> y = x * factor
 *
 * and, for attention, softmax and dropout of a row of scores in one; and norms of a row.
 */
#ifndef FD_KERNELS_H
#define FD_KERNELS_H

#include "common.h"
#include "sources.h"

enum {
    FD_LANES = 8,         /* of a source of the xorshift family */
    FD_LANE_WORDS = 4,    /* the most 64-bit words of one */
    FD_STEP = 64,         /* bytes that one step of the lanes makes */
    FD_BLOCK_STEPS = 256, /* steps between two reseedings of the lanes: 16 KiB */
    FD_NORMALS = 32,      /* factors of Gaussian dropout that may be made at once */
    FD_TILE = 8192        /* most elements of one call; arrays are applied in smaller tiles */
};

#define FD_NUMBER_OF(NUMBER, ...) NUMBER,
typedef enum { FD_EACH_SOURCE(FD_NUMBER_OF) FD_SOURCES } fd_source;

typedef enum { FD_FLOAT16, FD_BFLOAT16, FD_FLOAT32, FD_FLOAT64, FD_DTYPES } fd_dtype;

/* Bytes of a number. */
FD_INLINE size_t
fd_number_size(fd_dtype dtype)
{
    return dtype == FD_FLOAT64 ? 8 : dtype == FD_FLOAT32 ? 4 : 2;
}

/* What is done to an array with the kept bits. */
typedef enum {
    FD_SCALE,      /* y = kept ? x * scale : +0 */
    FD_SCALE_EACH, /* y = kept ? x * factor : +0 */
    FD_AFFINE,     /* y = kept ? x * scale + shift : dropped */
    FD_ADD,        /* y = other + (kept ? x * scale : +0) */
    FD_ADD_BIAS,   /* y = other + (kept ? (x + bias) * scale : +0) */
    FD_SELECT,     /* y = kept ? x : other */
    FD_RELU,       /* kept &= !(x <= 0); y = kept ? x * scale : +0 */
    FD_RELU_BIAS,  /* the same of x + bias */
    FD_GELU, /* y = kept ? gelu(x + bias) * scale : +0; bias: or NULL, as in those that follow */
    FD_GELU_TANH, /* likewise, by the approximation with a tanh */
    FD_SILU,
    FD_GELU_BACKWARD, /* y = kept ? other * scale * gelu'(x + bias) : +0 */
    FD_GELU_TANH_BACKWARD,
    FD_SILU_BACKWARD,
    FD_OPERATIONS
} fd_operation;

/* What an operation reads besides x; the pointers are at the element that x is at. */
typedef struct {
    double scale, shift, dropped;
    const void *other, *bias;
    const void *factors; /* in the type that x is computed in: float64, or else float32 */
} fd_operands;

typedef void (*fd_apply_kernel)(uint8_t *kept, const void *x, const fd_operands *operands, size_t n,
                                void *y);

/* What the value that an element has of its own says. */
typedef enum { FD_P, FD_KEEP_PROB, FD_FACTOR } fd_meaning;

/* What makes a stream: the key and the 128-bit counter (low word first) of Philox4x32-10. */
typedef struct {
    uint32_t key[2];
    uint64_t counter[2];
} fd_identity;

/* States of the 8 lanes of a xorshift-family source before step `step` (word j of lane l is
 * word[j][l]). Derived from the identity: a cache, never a part of a source's value. */
typedef struct {
    uint64_t word[FD_LANE_WORDS][FD_LANES];
    uint64_t step;
    uint64_t ready;
} fd_lanes;

/* What is read soon: `step` bytes at x, and at `other` unless it is NULL, for every 64 elements. */
typedef struct {
    const char *x, *other;
    size_t step;
} fd_prefetch;

/* A row of attention scores. Its weights are e^(score - largest) * inverse, where inverse is 1
 * over the sum of the exponentials; both are 0 where all scores are -inf. Backward needs the rest
 * too. */
typedef struct {
    double largest, inverse;
    double factor; /* of the kept weights */
    double scale;  /* of the scores */
    double delta;  /* the sum over the row of weights times their gradients */
} fd_softmax;

/* A row that is normalized: (number - mean - shift) * inverse. The shift is what rounding has left
 * out of the mean. `inverse` is 1 / sqrt(variance + eps), which the engine computes. Backward has
 * the means over the row of the gradients of what was normalized, and of their products with it. */
typedef struct {
    double mean, shift, variance, inverse;
    double sum, product;
} fd_norm_row;

enum { FD_NORM_GROUP = 32 }; /* numbers of a row are read and written in whole groups of these */

typedef struct {
    const char *name;

    /* bytes [64 * step, 64 * (step + steps)) of the stream. `lanes` is unused by Philox. */
    void (*fill[FD_SOURCES])(const fd_identity *identity, fd_lanes *lanes, uint64_t step,
                             size_t steps, uint8_t *FD_RESTRICT bytes);

    /* kept[i] = U(i) >= threshold for the n <= FD_TILE elements from `position` of the stream on.
     * Writes `kept` in whole groups of 64 elements; pad bits are 0. The bytes stay in registers. On
     * the way it prefetches what is read soon, if that is not NULL: this stage computes while the
     * memory is idle. */
    void (*decide[FD_SOURCES])(const fd_identity *identity, fd_lanes *lanes, uint64_t position,
                               size_t n, uint64_t threshold, const fd_identity *ties,
                               uint8_t *FD_RESTRICT kept, const fd_prefetch *soon);

    /* The same from given bytes, read in whole groups of 64; the tie digits of the first one are
     * those of `position`. */
    void (*threshold)(const uint8_t *FD_RESTRICT bytes, size_t n, uint64_t threshold,
                      const fd_identity *ties, uint64_t position, uint8_t *FD_RESTRICT kept);

    /* Copies numbers and says whether all are in [0, 1]. */
    int (*probabilities)(const double *FD_RESTRICT from, size_t n, double *FD_RESTRICT to);

    /* Where every element has a value of its own, p or keep_prob: heads[i] is the top byte of the
     * threshold of element i. Elements with greater bytes are kept, and those with smaller ones
     * dropped; only an equal byte needs tie digits. */
    void (*heads)(const double *FD_RESTRICT values, size_t n, fd_meaning meaning,
                  uint8_t *FD_RESTRICT heads);

    /* Bits: kept[i] = bytes[i] >= heads[i], and where they are equal. Reads and writes whole
     * groups of 64 elements; pad bits are 0. */
    void (*compare)(const uint8_t *FD_RESTRICT bytes, const uint8_t *FD_RESTRICT heads, size_t n,
                    uint8_t *FD_RESTRICT kept, uint8_t *FD_RESTRICT equal);

    /* digits[i] = H(position + index[i]). Reads and writes whole groups of 8 elements. */
    void (*digits)(const fd_identity *ties, uint64_t position, const uint16_t *FD_RESTRICT index,
                   size_t n, uint64_t *FD_RESTRICT digits);

    /* The factors of kept elements, rounded to the type that x is computed in. Those of elements
     * that are never kept, at p = 1, are 1. */
    void (*factors[FD_DTYPES])(const double *values, size_t n, fd_meaning meaning, void *factors);

    /* Elements 0 ... n - 1 of an operation; y is x or `other`, or does not overlap them. Only
     * FD_RELU and FD_RELU_BIAS write `kept`. */
    fd_apply_kernel apply[FD_OPERATIONS][FD_DTYPES];

    /* The same with stores that leave the caches alone; y is 64-byte aligned, and none of the
     * others. After the last, fd_store_fence makes them visible to other threads. */
    fd_apply_kernel apply_past_caches[FD_OPERATIONS][FD_DTYPES];

    /* factors[i] = 1 + deviation * z of the little-endian word at bytes + 4 i, z being standard
     * normal. Reads and writes whole groups of FD_NORMALS elements. */
    void (*normal)(const uint8_t *FD_RESTRICT bytes, size_t n, float deviation,
                   float *FD_RESTRICT factors);

    /* y[i] = x[i] * factors[i]; y is x or does not overlap it. */
    void (*multiply[FD_DTYPES])(const float *factors, const void *x, size_t n, void *y);

    /* y[i] = x[i] * factors[i] with those of `normal`, in one pass. Reads whole groups of words. */
    void (*multiply_normal[FD_DTYPES])(const uint8_t *FD_RESTRICT bytes, float deviation,
                                       const void *x, size_t n, void *y);

    /* bytes[i] = bit i, as 0 or 1. */
    void (*unpack)(const uint8_t *FD_RESTRICT bits, size_t n, uint8_t *FD_RESTRICT bytes);

    /* scores[i] -> kept bit (at + i) ? e^(scores[i] - row->largest) : +0, of float32 and float64
     * numbers only; n is a multiple of 16. Reads up to 2 bytes past the bits. row->largest is
     * the largest of scores before these, or -infinity, and becomes that of all; if that is -infinity,
     * 0. Writes row->inverse, of these scores alone. */
    void (*softmax[FD_DTYPES])(void *scores, size_t n, const uint8_t *kept, size_t at,
                               fd_softmax *row);

    /* Backward, of the same scores: scores[i] -> weight, and gradients[i] of the weight after dropout ->
     * that of the weight. Writes row->delta, which is right if the n numbers are a whole row. */
    void (*softmax_weights[FD_DTYPES])(void *scores, void *gradients, size_t n, const uint8_t *kept,
                                       size_t at, fd_softmax *row);

    /* Then: weights[i] -> weight after dropout, kept ? weight * row->factor : +0, and gradients[i] ->
     * that of the product of query and key. */
    void (*softmax_backward[FD_DTYPES])(void *weights, void *gradients, size_t n,
                                        const uint8_t *kept, size_t at, const fd_softmax *row);

    /* y[i] = numbers[i], rounded. Reads whole groups of FD_NORM_GROUP numbers. */
    void (*round[FD_DTYPES])(const void *numbers, size_t n, void *y);

    /* One row of a norm, of n elements at x, `other`, y, dy, dsum, dresidual and dx. All other arrays
     * are of the numbers that it is computed in, with room for whole groups and 0 behind n. Any of
     * the pointers that are said to may be NULL.
     *
     * sums[i] = other[i] + (kept bit (at + i) ? (x[i] + bias[i]) * scale : +0), likewise; x, bias: or
     * NULL. */
    void (*norm_join[FD_DTYPES])(const uint8_t *kept, size_t at, const void *x, const void *other,
                                 const void *bias, double scale, size_t n, void *sums);

    /* Writes mean, shift and variance; not `centered`, both are 0, and the variance is the mean of
     * the squares. */
    void (*norm_moments[FD_DTYPES])(const void *numbers, size_t n, int centered, fd_norm_row *row);

    /* y[i] = normalized number * weight[i] + bias[i]; weight, bias: or NULL. */
    void (*norm_scale[FD_DTYPES])(const void *numbers, size_t n, const fd_norm_row *row,
                                  const void *weight, const void *bias, void *y);

    /* Backward. numbers[i] becomes the normalized number, gradients[i] its gradient. Adds to dweight and
     * dbias; weight, dweight, dbias: or NULL. Writes row->sum and row->product. */
    void (*norm_products[FD_DTYPES])(void *numbers, const void *dy, size_t n, const void *weight,
                                     void *gradients, void *dweight, void *dbias, fd_norm_row *row);

    /* Then: dresidual[i] = dsum[i] + the gradient of the sum, dx[i] = kept ? that * scale : +0, which
     * is added to dlinear_bias; all four: or NULL. */
    void (*norm_backward[FD_DTYPES])(const uint8_t *kept, size_t at, const void *numbers,
                                     const void *gradients, const void *dsum, double scale,
                                     size_t n, const fd_norm_row *row, void *dresidual, void *dx,
                                     void *dlinear_bias);
} fd_kernels;

/* Domain separation: the streams of lanes and of tie digits have keys of their own. */
FD_INLINE fd_identity
fd_tagged(const fd_identity *identity, const char tag[8])
{
    fd_identity tagged = *identity;
    uint64_t word = fd_load_le64(tag);
    tagged.key[0] ^= (uint32_t)word;
    tagged.key[1] ^= (uint32_t)(word >> 32);
    return tagged;
}

/* counter + offset, modulo 2^128. */
FD_INLINE void
fd_counter_add(uint64_t counter[2], uint64_t offset)
{
    counter[0] += offset;
    counter[1] += counter[0] < offset;
}

extern const fd_kernels fd_kernels_scalar;
extern const fd_kernels fd_kernels_sse2;
extern const fd_kernels fd_kernels_avx2;
extern const fd_kernels fd_kernels_avx512;
extern const fd_kernels fd_kernels_neon;

#endif
