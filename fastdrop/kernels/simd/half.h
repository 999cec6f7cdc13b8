/* SPDX-License-Identifier: BSD-3-Clause
 *
 * float16 and bfloat16 in integer arithmetic, for the instruction sets that lack them, with the
 * results of the hardware: round to nearest even; a NaN is made quiet and keeps the top of its
 * payload.
 */
#ifndef FD_HALF_H
#define FD_HALF_H

#include "../common.h"

FD_INLINE uint32_t
float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

FD_INLINE float
bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

FD_INLINE float
half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7FFFu;
    if (rest > 0x7C00u) {
        return bits_float(sign | 0x7FC00000u | rest << 13);
    }
    if (rest == 0x7C00u) {
        return bits_float(sign | 0x7F800000u);
    }
    if (rest >= 0x0400u) {
        return bits_float(sign | ((rest << 13) + 0x38000000u));
    }
    return bits_float(sign | float_bits((float)rest * 0x1p-24f));
}

FD_INLINE uint16_t
float_to_half(float x)
{
    const uint32_t bits = float_bits(x), size = bits & 0x7FFFFFFFu;
    const uint32_t sign = bits >> 16 & 0x8000u;
    if (size > 0x7F800000u) {
        return (uint16_t)(sign | 0x7E00u | (size >> 13 & 0x3FFu));
    }
    if (size >= 0x477FF000u) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    }
    if (size >= 0x38800000u) {
        return (uint16_t)(sign | (size - 0x38000000u + 0xFFFu + (size >> 13 & 1u)) >> 13);
    }
    /* Below 2^-14 the float32 addition rounds at the place of the subnormal's last bit. */
    return (uint16_t)(sign | (float_bits(bits_float(size) + 0.5f) - 0x3F000000u));
}

FD_INLINE float
bfloat_to_float(uint16_t bfloat)
{
    return bits_float((uint32_t)bfloat << 16);
}

/* The upper half, rounded to nearest even. */
FD_INLINE uint16_t
round_to_top(uint32_t bits)
{
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

FD_INLINE uint16_t
float_to_bfloat(float x)
{
    const uint32_t bits = float_bits(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return round_to_top(bits);
}

#endif
