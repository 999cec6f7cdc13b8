/* SPDX-License-Identifier: BSD-3-Clause
 *
 * y = x * factor, one float32 factor per element: float64 is multiplied as float64, the half-width
 * types as float32, and each is rounded once.
 */
#ifndef FD_MULTIPLY_H
#define FD_MULTIPLY_H

#include "../kernels.h"

#define FD_DEFINE_MULTIPLY(DTYPE, ELEMENT, N, GROUP, LOAD, LOAD_FACTORS, STORE)                    \
    static void DTYPE##_multiply(const float *factors, const void *x, size_t n, void *y)           \
    {                                                                                              \
        const ELEMENT *from = (const ELEMENT *)x;                                                  \
        ELEMENT *to = (ELEMENT *)y;                                                                \
        size_t i = 0;                                                                              \
        for (; i + GROUP <= n; i += GROUP) {                                                       \
            STORE(to + i, N##_mul(LOAD(from + i), LOAD_FACTORS(factors + i)));                     \
        }                                                                                          \
        if (i < n) {                                                                               \
            ELEMENT rest[GROUP] = {0};                                                             \
            float rest_factors[GROUP] = {0};                                                       \
            memcpy(rest, from + i, (n - i) * sizeof(ELEMENT));                                     \
            memcpy(rest_factors, factors + i, (n - i) * sizeof(float));                            \
            STORE(rest, N##_mul(LOAD(rest), LOAD_FACTORS(rest_factors)));                          \
            memcpy(to + i, rest, (n - i) * sizeof(ELEMENT));                                       \
        }                                                                                          \
    }

/* Numbers of each type: what they are computed as, how many at once, and how they come and go. */
#define FD_OF_EACH_DTYPE(DEFINE)                                                                   \
    DEFINE(float16, uint16_t, f32, 16, f32_load_half, f32_load, f32_store_half)                    \
    DEFINE(bfloat16, uint16_t, f32, 16, f32_load_bfloat, f32_load, f32_store_bfloat)               \
    DEFINE(float32, float, f32, 16, f32_load, f32_load, f32_store)                                 \
    DEFINE(float64, double, f64, 8, f64_load, f64_load_f32, f64_store)

FD_OF_EACH_DTYPE(FD_DEFINE_MULTIPLY)

#endif
