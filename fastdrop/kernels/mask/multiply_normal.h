/* SPDX-License-Identifier: BSD-3-Clause
 *
 * y = x * factor of a word: `normal` and `multiply` in one pass, so that factors do not go through
 * memory.
 */
#ifndef FD_MULTIPLY_NORMAL_H
#define FD_MULTIPLY_NORMAL_H

#include "../apply/multiply.h"
#include "normal.h"

#define FD_DEFINE_MULTIPLY_NORMAL(DTYPE, ELEMENT, N, GROUP, LOAD, LOAD_FACTORS, STORE)             \
    static void DTYPE##_multiply_normal(const uint8_t *FD_RESTRICT bytes, float deviation,         \
                                        const void *x, size_t n, void *y)                          \
    {                                                                                              \
        const ELEMENT *from = (const ELEMENT *)x;                                                  \
        ELEMENT *to = (ELEMENT *)y;                                                                \
        FD_ALIGN64 float factors[NORMALS];                                                         \
        size_t i = 0;                                                                              \
        for (; i + NORMALS <= n; i += NORMALS) {                                                   \
            normal_group(bytes + 4 * i, deviation, factors);                                       \
            for (size_t j = 0; j < NORMALS; j += GROUP) {                                          \
                STORE(to + i + j, N##_mul(LOAD(from + i + j), LOAD_FACTORS(factors + j)));         \
            }                                                                                      \
        }                                                                                          \
        if (i < n) {                                                                               \
            normal_factors(bytes + 4 * i, n - i, deviation, factors);                              \
            DTYPE##_multiply(factors, from + i, n - i, to + i);                                    \
        }                                                                                          \
    }

FD_OF_EACH_DTYPE(FD_DEFINE_MULTIPLY_NORMAL)

#endif
