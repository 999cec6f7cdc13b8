/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Elements of any dtype as vectors of the numbers that they are computed in, 16 of float32 or 8 of
 * float64, in the order of memory. Where fewer than these are left, they go through a buffer.
 */
#ifndef FD_PARTS_H
#define FD_PARTS_H

#include "../kernels.h"

#define FD_DEFINE_PARTS(DTYPE, ELEMENT, VECTOR, GROUP, LOAD, STORE)                                \
    FD_INLINE VECTOR DTYPE##_load_part(const ELEMENT *from, size_t n)                              \
    {                                                                                              \
        ELEMENT rest[GROUP];                                                                       \
        if (n < GROUP) {                                                                           \
            memset(rest, 0, sizeof rest);                                                          \
            memcpy(rest, from, n * sizeof(ELEMENT));                                               \
            from = rest;                                                                           \
        }                                                                                          \
        return LOAD(from);                                                                         \
    }                                                                                              \
    FD_INLINE void DTYPE##_store_part(ELEMENT *to, VECTOR numbers, size_t n)                       \
    {                                                                                              \
        ELEMENT rest[GROUP];                                                                       \
        STORE(n < GROUP ? rest : to, numbers);                                                     \
        if (n < GROUP) {                                                                           \
            memcpy(to, rest, n * sizeof(ELEMENT));                                                 \
        }                                                                                          \
    }

FD_DEFINE_PARTS(float16, uint16_t, v_f32, 16, f32_load_half, f32_store_half)
FD_DEFINE_PARTS(bfloat16, uint16_t, v_f32, 16, f32_load_bfloat, f32_store_bfloat)
FD_DEFINE_PARTS(float32, float, v_f32, 16, f32_load, f32_store)
FD_DEFINE_PARTS(float64, double, v_f64, 8, f64_load, f64_store)

#endif
