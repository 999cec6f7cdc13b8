/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The vector operations of the kernels in plain C: the definition that every other header of
 * this folder repeats in its instruction set. A vector is always 512 bits, one step of the
 * stream, in as many registers as it takes; so a kernel is written once and its results cannot
 * depend on the width of a register.
 */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#include <math.h>

#include "bits.h"
#include "half.h"

typedef struct {
    uint64_t word[8];
} v_u64;

typedef struct {
    uint16_t element[32];
} v_u16;

typedef struct {
    float element[16];
} v_f32;

typedef struct {
    double element[8];
} v_f64;

/* Vectors whose chains of operations run side by side, where each operation waits for the one
 * before: as many as there are registers for. */
enum { FD_CHAINS = 1 };

#define FD_EACH_WORD(EXPRESSION)                                                                   \
    v_u64 result;                                                                                  \
    for (int i = 0; i < 8; i++) {                                                                  \
        result.word[i] = (EXPRESSION);                                                             \
    }                                                                                              \
    return result

/* Words in the machine's own order: states, counters. */
FD_INLINE v_u64
v_load_words(const uint64_t *from)
{
    FD_EACH_WORD(from[i]);
}

FD_INLINE void
v_store_words(uint64_t *to, v_u64 v)
{
    memcpy(to, v.word, 64);
}

/* Eight small numbers, each loaded by itself: they have just been written one by one, and a wider
 * load would wait until the cache has them all. */
FD_INLINE v_u64
v_load_u16x8(const uint16_t *from)
{
    FD_EACH_WORD(from[i]);
}

/* Bytes of the stream: little-endian words. */
FD_INLINE v_u64
v_load_bytes(const uint8_t *from)
{
    FD_EACH_WORD(fd_load_le64(from + 8 * i));
}

FD_INLINE void
v_store_bytes(uint8_t *to, v_u64 v)
{
    for (int i = 0; i < 8; i++) {
        fd_store_le64(to + 8 * i, v.word[i]);
    }
}

FD_INLINE v_u64
v_set1(uint64_t word)
{
    FD_EACH_WORD(word);
}

FD_INLINE v_u64
v_add64(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(a.word[i] + b.word[i]);
}

FD_INLINE v_u64
v_sub64(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(a.word[i] - b.word[i]);
}

FD_INLINE v_u64
v_or(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(a.word[i] | b.word[i]);
}

FD_INLINE v_u64
v_xor(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(a.word[i] ^ b.word[i]);
}

FD_INLINE v_u64
v_xor3(v_u64 a, v_u64 b, v_u64 c)
{
    FD_EACH_WORD(a.word[i] ^ b.word[i] ^ c.word[i]);
}

FD_INLINE v_u64
v_shl64(v_u64 a, int n)
{
    FD_EACH_WORD(a.word[i] << n);
}

FD_INLINE v_u64
v_shr64(v_u64 a, int n)
{
    FD_EACH_WORD(a.word[i] >> n);
}

FD_INLINE v_u64
v_rotl64(v_u64 a, int n)
{
    FD_EACH_WORD(a.word[i] << n | a.word[i] >> (64 - n));
}

/* Products of the low halves. */
FD_INLINE v_u64
v_mul32(v_u64 a, v_u64 b)
{
    FD_EACH_WORD((a.word[i] & 0xFFFFFFFFu) * (b.word[i] & 0xFFFFFFFFu));
}

/* Halves of words on their own, the low one first. */
#define FD_EACH_HALF(LOW, HIGH) FD_EACH_WORD((uint64_t)(uint32_t)(LOW) | (uint64_t)(HIGH) << 32)

FD_INLINE v_u64
v_set1_32(uint32_t half)
{
    FD_EACH_HALF(half, half);
}

FD_INLINE v_u64
v_shr32(v_u64 a, int n)
{
    FD_EACH_HALF((uint32_t)a.word[i] >> n, a.word[i] >> 32 >> n);
}

/* Low half of `low`, then low half of `high`. */
FD_INLINE v_u64
v_join32(v_u64 low, v_u64 high)
{
    FD_EACH_WORD((low.word[i] & 0xFFFFFFFFu) | high.word[i] << 32);
}

/* a0 b0 a2 b2 a4 b4 a6 b6, and a1 b1 a3 b3 a5 b5 a7 b7. */
FD_INLINE v_u64
v_zip_even(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(i & 1 ? b.word[i - 1] : a.word[i]);
}

FD_INLINE v_u64
v_zip_odd(v_u64 a, v_u64 b)
{
    FD_EACH_WORD(i & 1 ? b.word[i] : a.word[i + 1]);
}

/* Bit i of the result compares byte i (of the little-endian words) of a and b, unsigned. */
FD_INLINE uint64_t
v_bytes_ge(v_u64 a, v_u64 b)
{
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) {
        const uint8_t x = (uint8_t)(a.word[i / 8] >> i % 8 * 8);
        const uint8_t y = (uint8_t)(b.word[i / 8] >> i % 8 * 8);
        bits |= (uint64_t)(x >= y) << i;
    }
    return bits;
}

FD_INLINE uint64_t
v_bytes_eq(v_u64 a, v_u64 b)
{
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) {
        const uint8_t difference = (uint8_t)((a.word[i / 8] ^ b.word[i / 8]) >> i % 8 * 8);
        bits |= (uint64_t)(difference == 0) << i;
    }
    return bits;
}

/* Bit i is bit n of half i. */
FD_INLINE uint16_t
v_bit32(v_u64 a, int n)
{
    uint16_t bits = 0;
    for (int i = 0; i < 16; i++) {
        bits |= (uint16_t)((a.word[i / 2] >> (i % 2 * 32 + n) & 1) << i);
    }
    return bits;
}

/* Returns a vector whose element i is EXPRESSION. */
#define FD_EACH_ELEMENT(VECTOR, COUNT, EXPRESSION)                                                 \
    VECTOR result;                                                                                 \
    for (int i = 0; i < COUNT; i++) {                                                              \
        result.element[i] = (EXPRESSION);                                                          \
    }                                                                                              \
    return result

#define FD_EACH_FLOAT(EXPRESSION) FD_EACH_ELEMENT(v_f32, 16, EXPRESSION)

/* What is many operations long, and may be used often: inlined, it would take minutes to compile. */
#define FD_LONG FD_APART

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

#define FD_EACH_DOUBLE(EXPRESSION) FD_EACH_ELEMENT(v_f64, 8, EXPRESSION)

FD_INLINE v_f64
f64_set1(double x)
{
    FD_EACH_DOUBLE(x);
}

FD_INLINE v_f64
f64_load(const double *from)
{
    FD_EACH_DOUBLE(from[i]);
}

FD_INLINE v_f64
f64_load_f32(const float *from)
{
    FD_EACH_DOUBLE(from[i]);
}

FD_INLINE v_f64
f64_mul(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] * b.element[i]);
}

FD_INLINE v_f64
f64_add(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] + b.element[i]);
}

FD_INLINE v_f64
f64_sub(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] - b.element[i]);
}

FD_INLINE v_f64
f64_div(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] / b.element[i]);
}

FD_INLINE v_f64
f64_max(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] > b.element[i] ? a.element[i] : b.element[i]);
}

/* Likewise, from -1022 to 1023; 0 for -1023. */
FD_INLINE v_f64
f64_power(v_f64 a)
{
    for (int i = 0; i < 8; i++) {
        uint64_t bits;
        memcpy(&bits, &a.element[i], sizeof bits);
        bits = (bits + 1023) << 52;
        memcpy(&a.element[i], &bits, sizeof bits);
    }
    return a;
}

FD_INLINE v_f64
f64_select(v_f64 a, v_f64 b, uint8_t bits)
{
    FD_EACH_DOUBLE(bits >> i & 1 ? a.element[i] : b.element[i]);
}

FD_INLINE uint8_t
f64_not_below(v_f64 a)
{
    uint8_t bits = 0;
    for (int i = 0; i < 8; i++) {
        bits |= (uint8_t)(!(a.element[i] <= 0.0) << i);
    }
    return bits;
}

FD_INLINE v_f64
f64_keep(v_f64 a, uint8_t bits)
{
    FD_EACH_DOUBLE(bits >> i & 1 ? a.element[i] : 0.0);
}

FD_INLINE void
f64_store(double *to, v_f64 v)
{
    memcpy(to, v.element, sizeof v.element);
}

/* Rounded. */
FD_INLINE void
f64_store_f32(float *to, v_f64 v)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (float)v.element[i];
    }
}

/* Cut off to whole numbers, and at 255; from 0 to 2^31 - 1. */
FD_INLINE void
f64_store_bytes(uint8_t *to, v_f64 v)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(v.element[i] < 255.0 ? v.element[i] : 255.0);
    }
}

/* Stores past the caches, where there are such; `to` is aligned to the size of the whole. */
#define f32_store_past f32_store
#define u16_store_past u16_store
#define f64_store_past f64_store

/* A hint that the line will be read. */
FD_INLINE void
v_prefetch(const void *line)
{
    (void)line;
}

#endif
