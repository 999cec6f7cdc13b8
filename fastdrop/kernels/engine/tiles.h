/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The three stages put together: whole masks and whole arrays, tile by tile, on the threads.
 */
#ifndef FD_TILES_H
#define FD_TILES_H

#include "each.h"
#include "interrupt.h"

enum { FD_PADDING = 8 }; /* bytes past its end that a packed mask may be read and written */

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
    int past_caches; /* the arrays do not fit into the caches together; y is none of the others */
    fd_operation operation;
    double scale, shift, dropped;
    const fd_numbers *each; /* of FD_SCALE_EACH, to make the factors of */
    const char *bias;       /* element i meets bias[i % bias_period], ... */
    uint64_t bias_period; /* ... which is followed by another FD_TILE elements of its repetition */
    uint8_t *changed;     /* where FD_RELU leaves the kept bits, all 0 before; may be NULL */
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
    const fd_numbers *each; /* probabilities, not the threshold of `seeded`; NULL: that one */
    int dropped;            /* ones are the dropped elements */
    int bytes;              /* one byte an element */
    void *out;
} fd_drawing;

/* Elements [first, first + n), whose numbers start at `arrays`. Serial. */
void fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
                   fd_arrays arrays);

/* All n elements on up to `threads` threads. `cursor` is where the mask starts and becomes where
 * it ends. Returns whether it was told to stop; some elements are then not written, and the cursor
 * is worth nothing. `interrupt` may be NULL. */
int fd_apply(const fd_application *application, fd_cursor *cursor, size_t n, fd_arrays arrays,
             size_t threads, fd_interrupt *interrupt);

/* The same for Gaussian dropout, whose arrays have no `other`. */
int fd_gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n, fd_arrays arrays,
                    size_t threads, fd_interrupt *interrupt);

/* Writes out all n elements. Bits are written up to the last whole byte, pad bits 0. */
int fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads,
            fd_interrupt *interrupt);

#endif
