/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Masks whose every bit comes from a NumPy bit generator, through its C interface. The caller
 * holds the generator's lock. All return 0, or -1 where they were told to stop; the generator has
 * then given a part of the words.
 */
#ifndef FD_NUMPY_WORDS_H
#define FD_NUMPY_WORDS_H

#include <numpy/random/bitgen.h>

#include "decide.h"
#include "interrupt.h"

/* What the elements of a mask are compared with: the probabilities `each`, or where that is NULL,
 * threshold and p, which say the same. */
typedef struct fd_numpy_limit {
    const fd_numbers *each;
    fd_threshold threshold;
    double p;
} fd_numpy_limit;

/* draws="bytes": 1 + ceil(n / 8) words, the first of which keys the tie digits. `kept` has
 * FD_PADDING bytes to spare. */
int fd_numpy_bytes(const fd_kernels *kernels, bitgen_t *bitgen, size_t n,
                   const fd_numpy_limit *limit, uint8_t *kept, fd_ask ask);

/* draws="double" and "float": kept[i] = (next uniform) >= p, as the NumPy idiom decides. */
int fd_numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept,
                     fd_ask ask);
int fd_numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept,
                    fd_ask ask);

/* Factors of Gaussian dropout: two of a word, the low half first. */
int fd_numpy_normals(const fd_kernels *kernels, bitgen_t *bitgen, size_t n, float deviation,
                     float *factors, fd_ask ask);

#endif
