/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The operations of scalar.h on FD_REGISTERS registers side by side. A header that includes
 * this one says what one register does (r_..., listed in registers.h) and no more. Words and
 * bytes are here; wide_floats.h, wide_shorts.h and wide_doubles.h have the others.
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

#include "wide_floats.h"
#include "wide_shorts.h"
#include "wide_doubles.h"

#endif
