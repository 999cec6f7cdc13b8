/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Words to factors of mean 1: 1 + deviation * z, with z = the inverse of the normal distribution at
 * the word, so one 32-bit word per element, and each element by itself.
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
FD_INLINE void
polynomials(const int first, const v_u64 *at, const v_f32 *m, v_f32 *sum)
{
    for (int i = 0; i < FD_CHAINS; i++) {
        sum[i] = f32_lookup(normal_table[5] + first, at[i]);
    }
    for (int j = 4; j >= 0; j--) {
        for (int i = 0; i < FD_CHAINS; i++) {
            sum[i] = f32_add(f32_mul(sum[i], m[i]), f32_lookup(normal_table[j] + first, at[i]));
        }
    }
}

/* Factors that are made at once, in FD_CHAINS vectors: a polynomial is a long chain of operations,
 * of which each waits for the one before. */
enum { NORMALS = 16 * FD_CHAINS };

FD_INLINE void
normal_group(const uint8_t *bytes, float deviation, float *factors)
{
    v_f32 number[FD_CHAINS], m[FD_CHAINS], z[FD_CHAINS], others[FD_CHAINS];
    v_u64 at[FD_CHAINS];
    uint16_t near = 0xFFFF;
    for (int i = 0; i < FD_CHAINS; i++) {
        number[i] = f32_from_i32(v_or(v_load_bytes(bytes + 64 * i), v_set1_32(1)));
        m[i] = f32_mantissa(number[i]);
        at[i] = v_shr32(f32_bits(number[i]), 23);
        near &= v_bit32(at[i], 4);
    }
    polynomials(16, at, m, z);
    if (near != 0xFFFF) { /* 1 < t < 2^17, once in 16384 elements */
        polynomials(0, at, m, others);
        for (int i = 0; i < FD_CHAINS; i++) {
            z[i] = f32_select(z[i], others[i], v_bit32(at[i], 4));
        }
    }
    for (int i = 0; i < FD_CHAINS; i++) {
        const v_f32 noise = f32_mul(f32_set1(deviation), f32_copysign(z[i], number[i]));
        f32_store(factors + 16 * i, f32_add(f32_set1(1.0f), noise));
    }
}

FD_APART void
normal_factors(const uint8_t *FD_RESTRICT bytes, size_t n, float deviation,
               float *FD_RESTRICT factors)
{
    for (size_t i = 0; i < n; i += NORMALS) {
        normal_group(bytes + 4 * i, deviation, factors + i);
    }
}

#endif
