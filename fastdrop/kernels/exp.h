/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The exponential of a vector, of sums and products alone: the same floats in every table.
 */
#ifndef FD_EXP_H
#define FD_EXP_H

#include "kernels.h"

/* e^x for x up to a little above 0. With n the whole number next to x / ln(2), e^x is 2^n e^r with
 * |r| <= ln(2) / 2, and e^r its Taylor polynomial. Adding MAGIC, 1.5 times the power of two above
 * which numbers are whole, rounds to n, and leaves n in the low bits. At LEAST, and below, the
 * power is 0. ln(2) comes in two parts, the first with so few bits that n times it is exact. */
#define FD_DEFINE_EXP(V, VECTOR, NUMBER, MAGIC, LEAST, LN2, LN2_REST, DEGREE)                      \
    FD_LONG VECTOR V##_exp(VECTOR x)                                                               \
    {                                                                                              \
        static const NUMBER factorial[] = {                                                        \
            1,    1,     2,      6,         24,         120,         720,                          \
            5040, 40320, 362880, 3628800.0, 39916800.0, 479001600.0, 6227020800.0};                \
        const VECTOR clipped = V##_max(V##_set1(LEAST), x); /* a NaN stays one */                  \
        const VECTOR shifted =                                                                     \
            V##_add(V##_mul(clipped, V##_set1((NUMBER)1.4426950408889634)), V##_set1(MAGIC));      \
        const VECTOR n = V##_sub(shifted, V##_set1(MAGIC));                                        \
        const VECTOR r =                                                                           \
            V##_sub(V##_sub(clipped, V##_mul(n, V##_set1(LN2))), V##_mul(n, V##_set1(LN2_REST)));  \
        VECTOR sum = V##_set1(1 / factorial[DEGREE]);                                              \
        for (int k = DEGREE - 1; k >= 0; k--) {                                                    \
            sum = V##_add(V##_mul(sum, r), V##_set1(1 / factorial[k]));                            \
        }                                                                                          \
        return V##_mul(sum, V##_power(shifted));                                                   \
    }

FD_DEFINE_EXP(f32, v_f32, float, 12582912.0f, -88.0f, 0.693359375f, -2.12194440e-4f, 7)
FD_DEFINE_EXP(f64, v_f64, double, 6755399441055744.0, -709.0, 0.693147180369123816490,
              1.90821492927058770002e-10, 13)

#endif
