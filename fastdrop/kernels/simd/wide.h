/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The operations of scalar.h on FD_REGISTERS registers side by side. A header that includes
 * this one says what one register does (r_..., listed in registers.h) and no more.
 */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#include "registers.h"

typedef struct {
    r_u64 r[FD_REGISTERS];
} v_u64;

typedef v_u64 v_u16;

typedef struct {
    r_f32 r[FD_REGISTERS];
} v_f32;

typedef struct {
    r_f64 r[FD_REGISTERS];
} v_f64;

enum {
    FD_CHAINS = 4 / FD_REGISTERS,
    FD_R_BYTES = 64 / FD_REGISTERS,
    FD_R_WORDS = 8 / FD_REGISTERS,
    FD_R_U16 = 32 / FD_REGISTERS,
    FD_R_FLOATS = 16 / FD_REGISTERS,
    FD_R_DOUBLES = 8 / FD_REGISTERS
};

#define FD_EACH(STATEMENT)                                                                         \
    for (int i = 0; i < FD_REGISTERS; i++) {                                                       \
        STATEMENT;                                                                                 \
    }

#define FD_RESULT(TYPE, EXPRESSION)                                                                \
    TYPE result;                                                                                   \
    FD_EACH(result.r[i] = (EXPRESSION))                                                            \
    return result

#define FD_LONG FD_INLINE

FD_INLINE v_u64
v_load_words(const uint64_t *from)
{
    FD_RESULT(v_u64, r_load(from + FD_R_WORDS * i));
}

FD_INLINE void
v_store_words(uint64_t *to, v_u64 v)
{
    FD_EACH(r_store(to + FD_R_WORDS * i, v.r[i]))
}

FD_INLINE v_u64
v_load_u16x8(const uint16_t *from)
{
    FD_RESULT(v_u64, r_load_u16(from + FD_R_WORDS * i));
}

FD_INLINE v_u64
v_load_bytes(const uint8_t *from)
{
    FD_RESULT(v_u64, r_load(from + FD_R_BYTES * i));
}

FD_INLINE void
v_store_bytes(uint8_t *to, v_u64 v)
{
    FD_EACH(r_store(to + FD_R_BYTES * i, v.r[i]))
}

FD_INLINE v_u64
v_set1(uint64_t word)
{
    FD_RESULT(v_u64, r_set1(word));
}

FD_INLINE v_u64
v_add64(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_add64(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_sub64(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_sub64(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_or(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_or(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_xor(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_xor(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_xor3(v_u64 a, v_u64 b, v_u64 c)
{
    FD_RESULT(v_u64, r_xor(r_xor(a.r[i], b.r[i]), c.r[i]));
}

FD_INLINE v_u64
v_shl64(v_u64 a, const int n)
{
    FD_RESULT(v_u64, r_shl64(a.r[i], n));
}

FD_INLINE v_u64
v_shr64(v_u64 a, const int n)
{
    FD_RESULT(v_u64, r_shr64(a.r[i], n));
}

FD_INLINE v_u64
v_rotl64(v_u64 a, const int n)
{
    FD_RESULT(v_u64, r_or(r_shl64(a.r[i], n), r_shr64(a.r[i], 64 - n)));
}

FD_INLINE v_u64
v_mul32(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_mul32(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_set1_32(uint32_t half)
{
    FD_RESULT(v_u64, r_set1_32(half));
}

FD_INLINE v_u64
v_shr32(v_u64 a, const int n)
{
    FD_RESULT(v_u64, r_shr32(a.r[i], n));
}

FD_INLINE v_u64
v_join32(v_u64 low, v_u64 high)
{
    FD_RESULT(v_u64, r_join32(low.r[i], high.r[i]));
}

FD_INLINE v_u64
v_zip_even(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_zip_even(a.r[i], b.r[i]));
}

FD_INLINE v_u64
v_zip_odd(v_u64 a, v_u64 b)
{
    FD_RESULT(v_u64, r_zip_odd(a.r[i], b.r[i]));
}

FD_INLINE uint64_t
v_bytes_ge(v_u64 a, v_u64 b)
{
    uint64_t bits = 0;
    FD_EACH(bits |= (uint64_t)r_bytes_ge(a.r[i], b.r[i]) << FD_R_BYTES * i)
    return bits;
}

FD_INLINE uint64_t
v_bytes_eq(v_u64 a, v_u64 b)
{
    uint64_t bits = 0;
    FD_EACH(bits |= (uint64_t)r_bytes_eq(a.r[i], b.r[i]) << FD_R_BYTES * i)
    return bits;
}

FD_INLINE uint16_t
v_bit32(v_u64 a, const int n)
{
    uint32_t bits = 0;
    FD_EACH(bits |= (uint32_t)r_bit32(a.r[i], n) << FD_R_FLOATS * i)
    return (uint16_t)bits;
}

FD_INLINE v_f32
f32_set1(float x)
{
    FD_RESULT(v_f32, r_f32_set1(x));
}

FD_INLINE v_f32
f32_load(const float *from)
{
    FD_RESULT(v_f32, r_f32_load(from + FD_R_FLOATS * i));
}

FD_INLINE void
f32_store(float *to, v_f32 v)
{
    FD_EACH(r_f32_store(to + FD_R_FLOATS * i, v.r[i]))
}

FD_INLINE void
f32_store_past(float *to, v_f32 v)
{
    FD_EACH(r_f32_store_past(to + FD_R_FLOATS * i, v.r[i]))
}

FD_INLINE v_f32
f32_lookup(const float *table, v_u64 at)
{
    FD_RESULT(v_f32, r_f32_lookup(table, at.r[i]));
}

FD_INLINE v_f32
f32_load_half(const uint16_t *from)
{
    FD_RESULT(v_f32, r_f32_load_half(from + FD_R_FLOATS * i));
}

FD_INLINE void
f32_store_half(uint16_t *to, v_f32 v)
{
    FD_EACH(r_f32_store_half(to + FD_R_FLOATS * i, v.r[i]))
}

FD_INLINE v_f32
f32_load_bfloat(const uint16_t *from)
{
    FD_RESULT(v_f32, r_f32_load_bfloat(from + FD_R_FLOATS * i));
}

FD_INLINE void
f32_store_bfloat(uint16_t *to, v_f32 v)
{
    FD_EACH(r_f32_store_bfloat(to + FD_R_FLOATS * i, v.r[i]))
}

FD_INLINE v_f32
f32_mul(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_mul(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_add(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_add(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_sub(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_sub(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_div(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_div(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_max(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_max(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_power(v_f32 a)
{
    FD_RESULT(v_f32, r_f32_power(a.r[i]));
}

FD_INLINE v_f32
f32_from_i32(v_u64 a)
{
    FD_RESULT(v_f32, r_f32_from_i32(a.r[i]));
}

FD_INLINE v_u64
f32_bits(v_f32 a)
{
    FD_RESULT(v_u64, r_f32_bits(a.r[i]));
}

FD_INLINE v_f32
f32_mantissa(v_f32 a)
{
    FD_RESULT(v_f32, r_f32_mantissa(a.r[i]));
}

FD_INLINE v_f32
f32_copysign(v_f32 magnitude, v_f32 sign)
{
    FD_RESULT(v_f32, r_f32_copysign(magnitude.r[i], sign.r[i]));
}

FD_INLINE uint16_t
f32_not_below(v_f32 a)
{
    uint32_t bits = 0;
    FD_EACH(bits |= (uint32_t)r_f32_not_below(a.r[i]) << FD_R_FLOATS * i)
    return (uint16_t)bits;
}

/* The bits go to every lane; each lane then looks at its own. */
static const FD_ALIGN64 uint32_t f32_own[16] = {
    1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
    1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};

FD_INLINE v_f32
f32_keep(v_f32 a, uint16_t bits)
{
    const r_u64 all = r_set1_32(bits);
    FD_RESULT(v_f32, r_f32_and(a.r[i], r_set32(all, r_load(f32_own + FD_R_FLOATS * i))));
}

FD_INLINE v_f32
f32_select(v_f32 a, v_f32 b, uint16_t bits)
{
    const r_u64 all = r_set1_32(bits);
    FD_RESULT(v_f32, r_f32_choose(a.r[i], b.r[i], r_set32(all, r_load(f32_own + FD_R_FLOATS * i))));
}

FD_INLINE v_u16
u16_set1(uint16_t x)
{
    FD_RESULT(v_u16, r_set1_16(x));
}

FD_INLINE v_u16
u16_load(const uint16_t *from)
{
    FD_RESULT(v_u16, r_load(from + FD_R_U16 * i));
}

FD_INLINE void
u16_store(uint16_t *to, v_u16 v)
{
    FD_EACH(r_store(to + FD_R_U16 * i, v.r[i]))
}

FD_INLINE void
u16_store_past(uint16_t *to, v_u16 v)
{
    FD_EACH(r_store_past(to + FD_R_U16 * i, v.r[i]))
}

FD_INLINE uint32_t
u16_greater(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    FD_EACH(bits |= r_signs16(r_gt16(a.r[i], b.r[i])) << FD_R_U16 * i)
    return bits;
}

FD_INLINE uint32_t
u16_equal(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    FD_EACH(bits |= r_signs16(r_eq16(a.r[i], b.r[i])) << FD_R_U16 * i)
    return bits;
}

FD_INLINE v_u16
u16_except(v_u16 a, v_u16 b)
{
    FD_RESULT(v_u16, r_andnot(r_eq16(a.r[i], b.r[i]), a.r[i]));
}

/* Every element looks at its own of the bits that register i gets. */
FD_INLINE r_u64
r_set16(uint32_t bits, int i)
{
    static const FD_ALIGN64 uint16_t u16_own[16] = {
        1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
        1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
    const r_u64 own = r_load(u16_own);
    return r_eq16(r_and(r_bits16(bits, i), own), own);
}

FD_INLINE v_u16
u16_keep(v_u16 a, uint32_t bits)
{
    FD_RESULT(v_u16, r_and(a.r[i], r_set16(bits, i)));
}

FD_INLINE v_u16
u16_select(v_u16 a, v_u16 b, uint32_t bits)
{
    FD_RESULT(v_u16, r_choose16(a.r[i], b.r[i], r_set16(bits, i)));
}

/* Rounds to nearest, ties to even: up, if the 16 bits that are cut off are more than half, or half and
 * the last bit that stays is 1. That is so iff rest | last bit > 0x8000. As a signed integer such a
 * decider is above -2^15 and below 0, so its negative is greater than 0. Examples: 0x8001 (half and
 * odd, or more) has the negative 0x7FFF; 0x8000 (half and even) has 0x8000 again, which is not. */
FD_INLINE r_u64
r_round16(r_u64 even, r_u64 odd)
{
    const r_u64 top = r_tops16(even, odd);
    const r_u64 decider = r_or(r_rests16(even, odd), r_and(top, r_set1_16(1)));
    return r_sub16(top, r_gt16(r_sub16(r_set1_16(0), decider), r_set1_16(0)));
}

FD_INLINE v_f32
f32_load_even(const float *from)
{
    FD_RESULT(v_f32, r_f32_even(r_f32_load(from + FD_R_U16 * i),
                                r_f32_load(from + FD_R_U16 * i + FD_R_FLOATS)));
}

FD_INLINE v_f32
f32_load_odd(const float *from)
{
    FD_RESULT(v_f32, r_f32_odd(r_f32_load(from + FD_R_U16 * i),
                               r_f32_load(from + FD_R_U16 * i + FD_R_FLOATS)));
}

FD_INLINE v_f32
f32_from_even_bfloats(v_u16 a)
{
    FD_RESULT(v_f32, r_f32_from_bits(r_shl32(a.r[i], 16)));
}

FD_INLINE v_f32
f32_from_odd_bfloats(v_u16 a)
{
    FD_RESULT(v_f32, r_f32_from_bits(r_and(a.r[i], r_set1_32(0xFFFF0000u))));
}

FD_INLINE v_u16
f32_to_bfloats(v_f32 even, v_f32 odd)
{
    FD_RESULT(v_u16, r_round16(r_f32_bits(even.r[i]), r_f32_bits(odd.r[i])));
}

FD_INLINE v_u16
f32_to_halves(v_f32 first, v_f32 second)
{
    v_u16 result;
    for (int i = 0; i < FD_REGISTERS; i += 2) {
        result.r[i / 2] = r_f32_to_halves(first.r[i], first.r[i + 1]);
        result.r[(FD_REGISTERS + i) / 2] = r_f32_to_halves(second.r[i], second.r[i + 1]);
    }
    return result;
}

FD_INLINE v_f64
f64_set1(double x)
{
    FD_RESULT(v_f64, r_f64_set1(x));
}

FD_INLINE v_f64
f64_load(const double *from)
{
    FD_RESULT(v_f64, r_f64_load(from + FD_R_DOUBLES * i));
}

FD_INLINE v_f64
f64_load_f32(const float *from)
{
    FD_RESULT(v_f64, r_f64_load_f32(from + FD_R_DOUBLES * i));
}

FD_INLINE void
f64_store(double *to, v_f64 v)
{
    FD_EACH(r_f64_store(to + FD_R_DOUBLES * i, v.r[i]))
}

FD_INLINE void
f64_store_past(double *to, v_f64 v)
{
    FD_EACH(r_f64_store_past(to + FD_R_DOUBLES * i, v.r[i]))
}

FD_INLINE void
f64_store_f32(float *to, v_f64 v)
{
    FD_EACH(r_f64_store_f32(to + FD_R_DOUBLES * i, v.r[i]))
}

FD_INLINE void
f64_store_bytes(uint8_t *to, v_f64 v)
{
    FD_EACH(r_f64_store_bytes(to + FD_R_DOUBLES * i, v.r[i]))
}

FD_INLINE v_f64
f64_mul(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_mul(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_add(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_add(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_sub(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_sub(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_div(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_div(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_max(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_max(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_power(v_f64 a)
{
    FD_RESULT(v_f64, r_f64_power(a.r[i]));
}

FD_INLINE uint8_t
f64_not_below(v_f64 a)
{
    uint32_t bits = 0;
    FD_EACH(bits |= (uint32_t)r_f64_not_below(a.r[i]) << FD_R_DOUBLES * i)
    return (uint8_t)bits;
}

/* As for f32, by 32-bit halves: a lane's two halves look at the same bit. */
static const FD_ALIGN64 uint32_t f64_own[16] = {
    1u << 0, 1u << 0, 1u << 1, 1u << 1, 1u << 2, 1u << 2, 1u << 3, 1u << 3,
    1u << 4, 1u << 4, 1u << 5, 1u << 5, 1u << 6, 1u << 6, 1u << 7, 1u << 7};

FD_INLINE v_f64
f64_keep(v_f64 a, uint8_t bits)
{
    const r_u64 all = r_set1_32(bits);
    FD_RESULT(v_f64, r_f64_and(a.r[i], r_set32(all, r_load(f64_own + FD_R_FLOATS * i))));
}

FD_INLINE v_f64
f64_select(v_f64 a, v_f64 b, uint8_t bits)
{
    const r_u64 all = r_set1_32(bits);
    FD_RESULT(v_f64, r_f64_choose(a.r[i], b.r[i], r_set32(all, r_load(f64_own + FD_R_FLOATS * i))));
}

#endif
