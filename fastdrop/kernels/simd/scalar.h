/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The vector operations of the kernels in plain C: the definition that every other header of
 * this folder repeats in its instruction set. A vector is always 512 bits, one step of the
 * stream, in as many registers as it takes; so a kernel is written once and its results cannot
 * depend on the width of a register.
 *
 * Here are words and bytes; scalar_floats.h, scalar_shorts.h and scalar_doubles.h have the others.
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

/* What is many operations long, and may be used often: inlined, it would take minutes to compile. */
#define FD_LONG FD_APART

/* A hint that the line will be read. */
FD_INLINE void
v_prefetch(const void *line)
{
    (void)line;
}

#include "scalar_floats.h"
#include "scalar_shorts.h"
#include "scalar_doubles.h"

#endif
