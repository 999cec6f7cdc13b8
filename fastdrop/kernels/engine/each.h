/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where p is an array, each element has a value of its own, p or keep_prob. It gives the decision
 * and the factor of the element.
 */
#ifndef FD_ENGINE_EACH_H
#define FD_ENGINE_EACH_H

#include "broadcast.h"

/* An element is dropped iff U < value; `drops_all` stands for the value 2^64. */
typedef struct {
    uint64_t value;
    int drops_all;
} fd_threshold;

/* An element is dropped where U < p * 2^64. The product is exact: a power of two changes no digit. It
 * is rounded up to an integer, which changes nothing, for U is an integer. Example: p = 2^-65 gives
 * the threshold 1, and drops U = 0 alone. */
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

/* A value for each element of an array. The broadcast's ndim is never 0. */
typedef struct {
    const double *values;
    fd_meaning meaning;
    fd_broadcast broadcast;
} fd_numbers;

/* The most bytes that are read at once: half a tile, for small stacks. */
enum { FD_READ_BYTES = FD_TILE / 2 };

/* Kept bits of elements [first, first + n) of a mask, n <= FD_READ_BYTES, from their bytes; `position` is
 * that of the first one's tie digits. Reads `bytes` and writes `kept` in whole groups of 64; pad
 * bits are 0. */
void fd_decide(const fd_kernels *kernels, const fd_numbers *each, const fd_identity *ties,
               const uint8_t *bytes, uint64_t first, size_t n, uint64_t position, uint8_t *kept);

/* The factors of elements [first, first + n) of an array that fewer factors are laid over. */
void fd_spread(const fd_broadcast *broadcast, const float *factors, uint64_t first, size_t n,
               float *spread);

/* p of those elements. */
void fd_drop_probabilities(const fd_numbers *each, uint64_t first, size_t n, double *p);

/* The factors of those elements, one for each of the `components` numbers that an element is, in
 * the type that arrays of `dtype` are computed in. */
void fd_factors(const fd_kernels *kernels, const fd_numbers *each, fd_dtype dtype,
                size_t components, uint64_t first, size_t n, void *factors);

/* n factors of so many bytes, each of them twice, for both parts of a complex number; maybe in place. */
void fd_double(const void *factors, size_t size, size_t n, void *doubled);

#endif
