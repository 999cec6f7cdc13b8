/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The three stages put together: whole masks and whole arrays, tile by tile, on the threads.
 */
#ifndef FD_TILES_H
#define FD_TILES_H

#include "../kernels.h"

enum {
    FD_MAX_DIMS = 64, /* as NumPy */
    FD_PADDING = 8    /* bytes past its end that a packed mask may be read and written */
};

/* An element is dropped iff U < value; `drops_all` stands for the value 2^64. */
typedef struct {
    uint64_t value;
    int drops_all;
} fd_threshold;

/* Dropped where U < p * 2^64: a product that is never rounded, but up to the next integer, which
 * changes nothing. */
FD_INLINE fd_threshold
fd_drop_threshold(double p)
{
    const double product = p * 18446744073709551616.0;
    const uint64_t whole = p < 1.0 ? (uint64_t)product : 0;
    const fd_threshold threshold = {whole + (p < 1.0 && (double)whole < product), p >= 1.0};
    return threshold;
}

/* Dropped where U < 2^64 - keep_prob * 2^64. At keep_prob = 1 that is 0: nothing is dropped. */
FD_INLINE fd_threshold
fd_keep_threshold(double keep_prob)
{
    const double product = keep_prob * 18446744073709551616.0;
    const uint64_t whole = keep_prob < 1.0 ? (uint64_t)product : 0;
    const fd_threshold threshold = {(uint64_t)0 - whole, product < 1.0};
    return threshold;
}

/* A seeded mask: element i is decided by the byte and the tie digits at position + i. */
typedef struct {
    fd_source source;
    fd_identity identity, ties;
    uint64_t position;
    fd_threshold threshold;
} fd_seeded;

/* Where a stream was left: the lanes before step lanes.step, and the last step of bytes when
 * only a part of it was used. A cache: from an empty (all zero) cursor the results are the same. */
typedef struct {
    fd_lanes lanes;
    uint64_t last_step;
    uint8_t last[FD_STEP];
    uint64_t has_last;
} fd_cursor;

/* How the elements of an array, in C order, map to the bits of a smaller mask, or to an array of
 * probabilities. */
typedef struct {
    int ndim; /* 0: one to one */
    int64_t shape[FD_MAX_DIMS], stride[FD_MAX_DIMS];
} fd_broadcast;

/* A probability for each element of a mask, where they differ. Of these, ndim is never 0. */
typedef struct {
    const double *values;
    int keeps; /* they are keep_prob, not p */
    fd_broadcast broadcast;
} fd_probabilities;

/* One of the two: `packed` where it is not NULL. */
typedef struct {
    fd_seeded seeded;
    const uint8_t *packed;
    fd_broadcast broadcast; /* of packed masks only */
} fd_any_mask;

/* The arrays of one call, or of a part of it; `other` only where the operation reads it. */
typedef struct {
    const char *x, *other;
    char *y;
} fd_arrays;

/* What is done to n elements of `components` numbers each (complex: 2). */
typedef struct {
    const fd_kernels *kernels;
    const fd_any_mask *mask;
    fd_dtype dtype;
    int components;
    int past_caches; /* y is too large for the caches */
    fd_operation operation;
    double scale, shift, dropped;
    const char *bias;    /* element i meets bias[i % bias_period], ... */
    uint64_t bias_period; /* ... which is followed by another FD_TILE elements of its repetition */
    uint8_t *changed;    /* where FD_RELU leaves the kept bits, all 0 before; may be NULL */
} fd_application;

/* y = x * factor, of Gaussian dropout: factor i is made of the word at position + 4 i of a stream,
 * of which `seeded` says source, identity and position; or is factors[i] where that is not NULL.
 * Without x, y becomes the float32 factors. */
typedef struct {
    const fd_kernels *kernels;
    const fd_seeded *seeded;
    const float *factors;
    fd_dtype dtype;
    int components;
    float deviation;
} fd_gaussian;

/* How a seeded mask is written out: as bits or as bytes, kept or dropped elements as ones. */
typedef struct {
    const fd_kernels *kernels;
    const fd_seeded *seeded;
    const fd_probabilities *probabilities; /* not the threshold of `seeded`; NULL: that one */
    int dropped; /* ones are the dropped elements */
    int bytes;   /* one byte an element */
    void *out;
} fd_drawing;

/* Elements [first, first + n), whose numbers start at `arrays`. Serial. */
void fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
                   fd_arrays arrays);

/* All n elements on up to `threads` threads. `cursor` is where the mask starts and becomes where
 * it ends. */
void fd_apply(const fd_application *application, fd_cursor *cursor, size_t n, fd_arrays arrays,
              size_t threads);

/* The same for Gaussian dropout, whose arrays have no `other`. */
void fd_gaussian_part(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
                      fd_arrays arrays);
void fd_gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n, fd_arrays arrays,
                     size_t threads);

/* Kept bits of elements [first, first + n) of a mask, n <= FD_TILE, from their bytes; `position` is
 * that of the first one's tie digits. Reads `bytes` in whole groups of 64, and writes up to
 * FD_PADDING bytes past the last bit; pad bits are 0. */
void fd_decide(const fd_kernels *kernels, const fd_probabilities *probabilities,
               const fd_identity *ties, const uint8_t *bytes, uint64_t first, size_t n,
               uint64_t position, uint8_t *kept);

/* p of those elements. */
void fd_drop_probabilities(const fd_probabilities *probabilities, uint64_t first, size_t n,
                           double *p);

/* All n elements, likewise. Bits are written up to the last whole byte, pad bits 0. */
void fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads);

#endif
