/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bit strings: lowest bit first, as in a packed mask. Those that are written have FD_PADDING bytes to
 * spare, but for fd_bits_place.
 */
#ifndef FD_BITS_H
#define FD_BITS_H

#include "../common.h"

enum { FD_PADDING = 8 }; /* bytes past its end that a packed mask may be read and written */

/* Bits [at, at + 56] and a few more. */
FD_INLINE uint64_t
fd_bits_read(const uint8_t *bits, uint64_t at)
{
    return fd_load_le64(bits + at / 8) >> at % 8;
}

/* Sets bits [at, at + count), count <= 56, that are 0 so far. */
FD_INLINE void
fd_bits_write(uint8_t *bits, size_t at, uint64_t value, size_t count)
{
    uint8_t *word = bits + at / 8;
    fd_store_le64(word, fd_load_le64(word) | (value & fd_low_bits(count)) << at % 8);
}

/* Sets bits [at, at + count) that are 0 so far, and touches no byte but theirs. */
void fd_bits_place(uint8_t *FD_RESTRICT to, uint64_t at, const uint8_t *FD_RESTRICT bits,
                   size_t count);

/* Copies bits [first, first + n) to the front of `to`, in whole words. */
void fd_bits_shift(const uint8_t *FD_RESTRICT bits, uint64_t first, size_t n,
                   uint8_t *FD_RESTRICT to);

/* Every bit twice, for the two numbers of a complex element. Writes whole pairs of bytes. */
void fd_bits_double(const uint8_t *FD_RESTRICT bits, size_t n, uint8_t *FD_RESTRICT doubled);

/* Sets n bits from `at` on, which are 0 so far: copies of `count` others, one after the other. */
void fd_bits_repeat(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count,
                    size_t n);

/* Sets bits from `at` on, which are 0 so far: `count` others, each of them `length` times. */
void fd_bits_stretch(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count,
                     size_t length);

#endif
