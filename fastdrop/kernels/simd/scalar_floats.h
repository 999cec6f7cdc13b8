/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar.h on sixteen floats, and on the half-width numbers that they come from.
 */
#ifndef FD_SIMD_SCALAR_FLOATS_H
#define FD_SIMD_SCALAR_FLOATS_H

#define FD_EACH_FLOAT(EXPRESSION) FD_EACH_ELEMENT(v_f32, 16, EXPRESSION)

FD_INLINE v_f32
f32_set1(float x)
{
    FD_EACH_FLOAT(x);
}

FD_INLINE v_f32
f32_load(const float *from)
{
    FD_EACH_FLOAT(from[i]);
}

/* Element i of the result is that of 16 at the low four bits of half i. */
FD_INLINE v_f32
f32_lookup(const float *table, v_u64 at)
{
    FD_EACH_FLOAT(table[at.word[i / 2] >> i % 2 * 32 & 15]);
}

FD_INLINE v_f32
f32_load_half(const uint16_t *from)
{
    FD_EACH_FLOAT(half_to_float(from[i]));
}

FD_INLINE v_f32
f32_load_bfloat(const uint16_t *from)
{
    FD_EACH_FLOAT(bfloat_to_float(from[i]));
}

FD_INLINE v_f32
f32_mul(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] * b.element[i]);
}

FD_INLINE v_f32
f32_add(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] + b.element[i]);
}

FD_INLINE v_f32
f32_sub(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] - b.element[i]);
}

FD_INLINE v_f32
f32_div(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] / b.element[i]);
}

/* The greater; b where one of the two is NaN. */
FD_INLINE v_f32
f32_max(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] > b.element[i] ? a.element[i] : b.element[i]);
}

/* 2^n, where the low bits of a number are n, from -126 to 127; 0 for -127. */
FD_INLINE v_f32
f32_power(v_f32 a)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.element[i], sizeof bits);
        bits = (bits + 127) << 23;
        memcpy(&a.element[i], &bits, sizeof bits);
    }
    return a;
}

/* The signed halves of words as numbers. */
FD_INLINE v_f32
f32_from_i32(v_u64 a)
{
    FD_EACH_FLOAT((float)(int32_t)(a.word[i / 2] >> i % 2 * 32));
}

/* The same bits, as halves of words. */
FD_INLINE v_u64
f32_bits(v_f32 a)
{
    uint32_t half[16];
    memcpy(half, a.element, 64);
    FD_EACH_HALF(half[2 * i], half[2 * i + 1]);
}

/* m of a number of magnitude 2^k m, 1 <= m < 2; for normal numbers. */
FD_INLINE v_f32
f32_mantissa(v_f32 a)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.element[i], sizeof bits);
        bits = (bits & 0x007FFFFF) | 0x3F800000;
        memcpy(&a.element[i], &bits, sizeof bits);
    }
    return a;
}

/* Magnitudes, which are not negative, with the signs of others. */
FD_INLINE v_f32
f32_copysign(v_f32 magnitude, v_f32 sign)
{
    FD_EACH_FLOAT(signbit(sign.element[i]) ? -magnitude.element[i] : magnitude.element[i]);
}

/* Element i of a where bit i is set, else of b. */
FD_INLINE v_f32
f32_select(v_f32 a, v_f32 b, uint16_t bits)
{
    FD_EACH_FLOAT(bits >> i & 1 ? a.element[i] : b.element[i]);
}

/* Bit i where element i is greater than 0, or NaN. */
FD_INLINE uint16_t
f32_not_below(v_f32 a)
{
    uint16_t bits = 0;
    for (int i = 0; i < 16; i++) {
        bits |= (uint16_t)(!(a.element[i] <= 0.0f) << i);
    }
    return bits;
}

/* Element i where bit i is set, else +0. */
FD_INLINE v_f32
f32_keep(v_f32 a, uint16_t bits)
{
    FD_EACH_FLOAT(bits >> i & 1 ? a.element[i] : 0.0f);
}

FD_INLINE void
f32_store(float *to, v_f32 v)
{
    memcpy(to, v.element, sizeof v.element);
}

FD_INLINE void
f32_store_half(uint16_t *to, v_f32 v)
{
    for (int i = 0; i < 16; i++) {
        to[i] = float_to_half(v.element[i]);
    }
}

FD_INLINE void
f32_store_bfloat(uint16_t *to, v_f32 v)
{
    for (int i = 0; i < 16; i++) {
        to[i] = float_to_bfloat(v.element[i]);
    }
}

/* Past the caches, where there is such a store; `to` is aligned to the size of the whole. */
#define f32_store_past f32_store

#endif
