/* SPDX-License-Identifier: BSD-3-Clause
 *
 * y = kept ? x * scale : +0, rounded once, for every dtype. Select, never multiply by a 0/1
 * mask: a dropped NaN or infinity is 0 too. The half-width types are multiplied as float32.
 * Each loop is written once, for groups of 16 (float64: 8) elements; a last part group goes
 * through a buffer.
 */
#ifndef FD_APPLY_H
#define FD_APPLY_H

#include "../kernels.h"

#define FD_DEFINE_APPLY(NAME, ELEMENT, SCALE, VECTOR, GROUP, BITS, LOAD_BITS, SET1, LOAD, MUL,     \
                        KEEP, STORE)                                                               \
    static void NAME(const uint8_t *kept, const void *x, size_t n, double scale, void *y)          \
    {                                                                                              \
        const ELEMENT *from = (const ELEMENT *)x;                                                  \
        ELEMENT *to = (ELEMENT *)y;                                                                \
        const VECTOR factor = SET1((SCALE)scale);                                                  \
        size_t i = 0;                                                                              \
        for (; i + GROUP <= n; i += GROUP) {                                                       \
            const BITS bits = LOAD_BITS(kept + i / 8);                                             \
            STORE(to + i, KEEP(MUL(LOAD(from + i), factor), bits));                                \
        }                                                                                          \
        if (i < n) {                                                                               \
            ELEMENT rest[GROUP] = {0};                                                             \
            uint8_t rest_kept[2] = {kept[i / 8], 0};                                               \
            if (n - i > 8) {                                                                       \
                rest_kept[1] = kept[i / 8 + 1];                                                    \
            }                                                                                      \
            memcpy(rest, from + i, (n - i) * sizeof(ELEMENT));                                     \
            STORE(rest, KEEP(MUL(LOAD(rest), factor), LOAD_BITS(rest_kept)));                      \
            memcpy(to + i, rest, (n - i) * sizeof(ELEMENT));                                       \
        }                                                                                          \
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

FD_DEFINE_APPLY(apply_float16, uint16_t, float, v_f32, 16, uint16_t, bits_load16, f32_set1,
                f32_load_half, f32_mul, f32_keep, f32_store_half)
FD_DEFINE_APPLY(apply_bfloat16, uint16_t, float, v_f32, 16, uint16_t, bits_load16, f32_set1,
                f32_load_bfloat, f32_mul, f32_keep, f32_store_bfloat)
FD_DEFINE_APPLY(apply_float32, float, float, v_f32, 16, uint16_t, bits_load16, f32_set1, f32_load,
                f32_mul, f32_keep, f32_store)
FD_DEFINE_APPLY(apply_float64, double, double, v_f64, 8, uint8_t, bits_load8, f64_set1, f64_load,
                f64_mul, f64_keep, f64_store)

/* Copies past the caches where the instruction set can: whole lines, in order. */
static void
stream_bytes(const void *FD_RESTRICT from, size_t bytes, void *FD_RESTRICT to)
{
    const uint8_t *source = (const uint8_t *)from;
    uint8_t *target = (uint8_t *)to;
    const size_t head = fd_min(bytes, (size_t)(-(uintptr_t)target & 63));
    memcpy(target, source, head);
    size_t i = head;
    for (; i + 64 <= bytes; i += 64) {
        v_stream(target + i, v_load_bytes(source + i));
    }
    memcpy(target + i, source + i, bytes - i);
    v_stream_end();
}

#endif
