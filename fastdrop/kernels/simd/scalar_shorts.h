/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar.h on 32 numbers of 16 bits: integers, or the bits of half-width numbers.
 */
#ifndef FD_SIMD_SCALAR_SHORTS_H
#define FD_SIMD_SCALAR_SHORTS_H

/* Integers of 16 bits, or as many numbers. */
#define FD_EACH_U16(EXPRESSION) FD_EACH_ELEMENT(v_u16, 32, EXPRESSION)

FD_INLINE v_u16
u16_set1(uint16_t x)
{
    FD_EACH_U16(x);
}

FD_INLINE v_u16
u16_load(const uint16_t *from)
{
    FD_EACH_U16(from[i]);
}

FD_INLINE void
u16_store(uint16_t *to, v_u16 v)
{
    memcpy(to, v.element, sizeof v.element);
}

/* Bit i where element i of a is greater than that of b, as a signed integer; where it is the
 * same. */
FD_INLINE uint32_t
u16_greater(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) {
        bits |= (uint32_t)((int16_t)a.element[i] > (int16_t)b.element[i]) << i;
    }
    return bits;
}

FD_INLINE uint32_t
u16_equal(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) {
        bits |= (uint32_t)(a.element[i] == b.element[i]) << i;
    }
    return bits;
}

/* Elements of a, but 0 where b has the same. */
FD_INLINE v_u16
u16_except(v_u16 a, v_u16 b)
{
    FD_EACH_U16(a.element[i] == b.element[i] ? 0 : a.element[i]);
}

FD_INLINE v_u16
u16_keep(v_u16 a, uint32_t bits)
{
    FD_EACH_U16(bits >> i & 1 ? a.element[i] : 0);
}

FD_INLINE v_u16
u16_select(v_u16 a, v_u16 b, uint32_t bits)
{
    FD_EACH_U16(bits >> i & 1 ? a.element[i] : b.element[i]);
}

/* 32 numbers as float16, the first 16 of them first. */
FD_INLINE v_u16
f32_to_halves(v_f32 first, v_f32 second)
{
    v_u16 result;
    for (int i = 0; i < 16; i++) {
        result.element[i] = float_to_half(first.element[i]);
        result.element[16 + i] = float_to_half(second.element[i]);
    }
    return result;
}

/* The even and the odd ones of 32 numbers. */
FD_INLINE v_f32
f32_load_even(const float *from)
{
    FD_EACH_FLOAT(from[2 * i]);
}

FD_INLINE v_f32
f32_load_odd(const float *from)
{
    FD_EACH_FLOAT(from[2 * i + 1]);
}

/* The same of 32 bfloat16, and back. The lower 16 bits of a NaN are 0. */
FD_INLINE v_f32
f32_from_even_bfloats(v_u16 a)
{
    FD_EACH_FLOAT(bfloat_to_float(a.element[2 * i]));
}

FD_INLINE v_f32
f32_from_odd_bfloats(v_u16 a)
{
    FD_EACH_FLOAT(bfloat_to_float(a.element[2 * i + 1]));
}

FD_INLINE v_u16
f32_to_bfloats(v_f32 even, v_f32 odd)
{
    v_u16 result;
    for (int i = 0; i < 16; i++) {
        result.element[2 * i] = round_to_top(float_bits(even.element[i]));
        result.element[2 * i + 1] = round_to_top(float_bits(odd.element[i]));
    }
    return result;
}

/* Past the caches, where there is such a store; `to` is aligned to the size of the whole. */
#define u16_store_past u16_store

#endif
