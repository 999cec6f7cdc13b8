/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Words to factors of mean 1: 1 + deviation * z, with z = the inverse of the normal distribution at
 * the word, so one 32-bit word an element, and each element by itself.
 *
 * A word is a signed number and, with its lowest bit set, an odd one. It has z's sign, and its
 * magnitude t is 2^32 times the probability beyond |z|. In an octave of t, where t = 2^k m with
 * 1 <= m < 2, |z| is a polynomial of degree 5 in m: float32 knows k and m, and the coefficients
 * wait in registers. They are interpolations of our own, which meet where octaves do. z is right to
 * 6e-6; the largest |z| is 6.2303.
 *
 * Only sums and products, each rounded to float32: every table gives the same floats.
 */
#ifndef FD_NORMAL_H
#define FD_NORMAL_H

#include "../kernels.h"
#include "normal_table.h"

/* Of 16 columns of the table, from `first`, those at the low four bits of `at`. */
FD_INLINE v_f32
polynomials(const int first, v_u64 at, v_f32 m)
{
    v_f32 sum = f32_lookup(normal_table[5] + first, at);
    for (int j = 4; j >= 0; j--) {
        sum = f32_add(f32_mul(sum, m), f32_lookup(normal_table[j] + first, at));
    }
    return sum;
}

FD_INLINE v_f32
normal_of_words(v_u64 words)
{
    const v_f32 number = f32_from_i32(v_or(words, v_set1_32(1))), m = f32_mantissa(number);
    const v_u64 at = v_shr32(f32_bits(number), 23);
    v_f32 z = polynomials(16, at, m);
    const uint16_t near = v_bit32(at, 4);
    if (near != 0xFFFF) { /* 1 < t < 2^17, once in 16384 elements */
        z = f32_select(z, polynomials(0, at, m), near);
    }
    return f32_copysign(z, number);
}

static void
normal_factors(const uint8_t *FD_RESTRICT bytes, size_t n, float deviation,
               float *FD_RESTRICT factors)
{
    for (size_t i = 0; i < n; i += 16) {
        const v_f32 z = normal_of_words(v_load_bytes(bytes + 4 * i));
        f32_store(factors + i, f32_add(f32_set1(1.0f), f32_mul(f32_set1(deviation), z)));
    }
}

#endif
