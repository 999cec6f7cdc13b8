/* SPDX-License-Identifier: BSD-3-Clause
 *
 * y = kept ? x * scale : +0, rounded once, for every dtype. Select, never multiply by a 0/1
 * mask: a dropped NaN or infinity is 0 too. The half-width types are multiplied as float32.
 *
 * Each loop is written once, for groups of 16 (float64: 8) elements; a last part group goes
 * through a buffer. It is compiled twice: the second stores past the caches, for results too
 * large for them.
 */
#ifndef FD_APPLY_H
#define FD_APPLY_H

#include "../kernels.h"

#define FD_DEFINE_APPLY(NAME, ELEMENT, SCALE, VECTOR, GROUP, SET1, LOAD, MUL, KEEP, STORE)         \
    FD_INLINE void NAME##_loop(const uint8_t *kept, const ELEMENT *x, size_t n, SCALE scale,       \
                               ELEMENT *y, const int past_caches)                                  \
    {                                                                                              \
        const VECTOR factor = SET1(scale);                                                         \
        size_t i = 0;                                                                              \
        for (; i + GROUP <= n; i += GROUP) {                                                       \
            const VECTOR kept_x = KEEP(MUL(LOAD(x + i), factor), bits_load##GROUP(kept + i / 8));  \
            if (past_caches) {                                                                     \
                STORE##_past(y + i, kept_x);                                                       \
            } else {                                                                               \
                STORE(y + i, kept_x);                                                              \
            }                                                                                      \
        }                                                                                          \
        if (i < n) {                                                                               \
            ELEMENT rest[GROUP] = {0};                                                             \
            const uint8_t rest_kept[2] = {kept[i / 8], n - i > 8 ? kept[i / 8 + 1] : 0};           \
            memcpy(rest, x + i, (n - i) * sizeof(ELEMENT));                                        \
            STORE(rest, KEEP(MUL(LOAD(rest), factor), bits_load##GROUP(rest_kept)));               \
            memcpy(y + i, rest, (n - i) * sizeof(ELEMENT));                                        \
        }                                                                                          \
    }                                                                                              \
    static void NAME(const uint8_t *kept, const void *x, size_t n, double scale, void *y)          \
    {                                                                                              \
        NAME##_loop(kept, (const ELEMENT *)x, n, (SCALE)scale, (ELEMENT *)y, 0);                   \
    }                                                                                              \
    static void NAME##_past_caches(const uint8_t *kept, const void *x, size_t n, double scale,     \
                                   void *y)                                                        \
    {                                                                                              \
        NAME##_loop(kept, (const ELEMENT *)x, n, (SCALE)scale, (ELEMENT *)y, 1);                   \
    }

FD_INLINE uint16_t
bits_load16(const uint8_t *kept)
{
    return (uint16_t)(kept[0] | kept[1] << 8);
}

FD_INLINE uint8_t
bits_load8(const uint8_t *kept)
{
    return kept[0];
}

FD_DEFINE_APPLY(apply_float16, uint16_t, float, v_f32, 16, f32_set1, f32_load_half, f32_mul,
                f32_keep, f32_store_half)
FD_DEFINE_APPLY(apply_bfloat16, uint16_t, float, v_f32, 16, f32_set1, f32_load_bfloat, f32_mul,
                f32_keep, f32_store_bfloat)
FD_DEFINE_APPLY(apply_float32, float, float, v_f32, 16, f32_set1, f32_load, f32_mul, f32_keep,
                f32_store)
FD_DEFINE_APPLY(apply_float64, double, double, v_f64, 8, f64_set1, f64_load, f64_mul, f64_keep,
                f64_store)

#endif
