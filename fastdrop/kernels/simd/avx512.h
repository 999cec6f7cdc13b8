/* SPDX-License-Identifier: BSD-3-Clause
 *
 * AVX-512 (F, BW, DQ, VL): a vector is one register. The meaning of each operation is in scalar.h.
 */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#include <immintrin.h>

#include "../common.h"

typedef __m512i v_u64;
typedef __m512i v_u16;
typedef __m512 v_f32;
typedef __m512d v_f64;

enum { FD_CHAINS = 2 };

#define v_load_words(from) _mm512_loadu_si512((const void *)(from))
#define v_store_words(to, v) _mm512_storeu_si512((void *)(to), v)
#define v_load_u16x8(from)                                                                         \
    _mm512_cvtepu16_epi64(_mm_set_epi16((short)(from)[7], (short)(from)[6], (short)(from)[5],      \
                                        (short)(from)[4], (short)(from)[3], (short)(from)[2],      \
                                        (short)(from)[1], (short)(from)[0]))
#define v_load_bytes(from) _mm512_loadu_si512((const void *)(from))
#define v_store_bytes(to, v) _mm512_storeu_si512((void *)(to), v)
#define v_set1(word) _mm512_set1_epi64((long long)(word))
#define v_add64(a, b) _mm512_add_epi64(a, b)
#define v_sub64(a, b) _mm512_sub_epi64(a, b)
#define v_or(a, b) _mm512_or_si512(a, b)
#define v_set1_32(half) _mm512_set1_epi32((int)(half))
#define v_shr32(a, n) _mm512_srli_epi32(a, n)
#define v_xor(a, b) _mm512_xor_si512(a, b)
#define v_xor3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define v_shl64(a, n) _mm512_slli_epi64(a, n)
#define v_shr64(a, n) _mm512_srli_epi64(a, n)
#define v_rotl64(a, n) _mm512_rol_epi64(a, n)
#define v_mul32(a, b) _mm512_mul_epu32(a, b)
#define v_join32(low, high) _mm512_mask_shuffle_epi32(low, 0xAAAA, high, (_MM_PERM_ENUM)0xA0)
#define v_zip_even(a, b) _mm512_unpacklo_epi64(a, b)
#define v_zip_odd(a, b) _mm512_unpackhi_epi64(a, b)
#define v_bytes_ge(a, b) ((uint64_t)_mm512_cmpge_epu8_mask(a, b))
#define v_bytes_eq(a, b) ((uint64_t)_mm512_cmpeq_epi8_mask(a, b))
#define v_bit32(a, n) ((uint16_t)_mm512_test_epi32_mask(a, _mm512_set1_epi32(1 << (n))))
#define v_unpack64(bits, to)                                                                       \
    _mm512_storeu_si512((void *)(to), _mm512_maskz_set1_epi8((__mmask64)(bits), 1))
#define v_prefetch(line) _mm_prefetch((const char *)(line), _MM_HINT_T0)

#define FD_LONG FD_INLINE

#define f32_set1(x) _mm512_set1_ps(x)
#define f32_load(from) _mm512_loadu_ps(from)
#define f32_lookup(table, at) _mm512_permutexvar_ps(at, _mm512_loadu_ps(table))
#define f32_store(to, v) _mm512_storeu_ps(to, v)
#define f32_mul(a, b) _mm512_mul_ps(a, b)
#define f32_add(a, b) _mm512_add_ps(a, b)
#define f32_sub(a, b) _mm512_sub_ps(a, b)
#define f32_div(a, b) _mm512_div_ps(a, b)
#define f32_max(a, b) _mm512_max_ps(a, b)
#define f32_power(a)                                                                               \
    _mm512_castsi512_ps(                                                                           \
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(127)), 23))
#define f32_from_i32(a) _mm512_cvtepi32_ps(a)
#define f32_bits(a) _mm512_castps_si512(a)
#define f32_mantissa(a)                                                                            \
    _mm512_castsi512_ps(_mm512_ternarylogic_epi32(f32_bits(a), _mm512_set1_epi32(0x007FFFFF),      \
                                                  _mm512_set1_epi32(0x3F800000), 0xEA))
#define f32_copysign(magnitude, sign)                                                              \
    _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)))
#define f32_not_below(a) ((uint16_t)_mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_NLE_UQ))
#define f32_select(a, b, bits) _mm512_mask_blend_ps((__mmask16)(bits), b, a)
#define f32_keep(a, bits) _mm512_maskz_mov_ps((__mmask16)(bits), a)
#define f32_load_half(from)                                                                        \
    _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(from)))
#define f32_to_half(v) _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define f32_store_half(to, v) _mm256_storeu_si256((__m256i *)(void *)(to), f32_to_half(v))
#define f32_store_bfloat(to, v) _mm256_storeu_si256((__m256i *)(void *)(to), f32_to_bfloat(v))
#define f32_store_past(to, v) _mm512_stream_ps(to, v)

#define u16_set1(x) _mm512_set1_epi16((short)(x))
#define u16_load(from) _mm512_loadu_si512((const void *)(from))
#define u16_store(to, v) _mm512_storeu_si512((void *)(to), v)
#define u16_store_past(to, v) _mm512_stream_si512((__m512i *)(void *)(to), v)
#define u16_greater(a, b) ((uint32_t)_mm512_cmpgt_epi16_mask(a, b))
#define u16_equal(a, b) ((uint32_t)_mm512_cmpeq_epi16_mask(a, b))
#define u16_except(a, b) _mm512_maskz_mov_epi16(_mm512_cmpneq_epi16_mask(a, b), a)
#define u16_keep(a, bits) _mm512_maskz_mov_epi16((__mmask32)(bits), a)
#define u16_select(a, b, bits) _mm512_mask_blend_epi16((__mmask32)(bits), b, a)
#define f32_load_even(from) f32_pick(from, 0)
#define f32_load_odd(from) f32_pick(from, 1)
#define f32_from_even_bfloats(a) _mm512_castsi512_ps(_mm512_slli_epi32(a, 16))
#define f32_from_odd_bfloats(a)                                                                    \
    _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32((int)0xFFFF0000u)))

/* Every second number, from the first one on. */
FD_INLINE v_f32
f32_pick(const float *from, const int first)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i index = _mm512_add_epi32(even, _mm512_set1_epi32(first));
    return _mm512_permutex2var_ps(f32_load(from), index, f32_load(from + 16));
}

/* What is cut off decides, together with the last bit that stays: one more than half of 16 bits,
 * or half and an odd number, rounds up. */
FD_INLINE v_u16
f32_to_bfloats(v_f32 even, v_f32 odd)
{
    const __m512i a = _mm512_castps_si512(even), b = _mm512_castps_si512(odd);
    const __m512i top = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(a, 16), b);
    const __m512i rest = _mm512_mask_blend_epi16(0xAAAAAAAA, a, _mm512_slli_epi32(b, 16));
    const __m512i ones = _mm512_set1_epi16(1); /* rest | (top & 1): */
    const __m512i decider = _mm512_ternarylogic_epi64(rest, top, ones, 0xF8);
    const __mmask32 up = _mm512_cmpgt_epu16_mask(decider, _mm512_set1_epi16(-0x8000));
    return _mm512_mask_add_epi16(top, up, top, ones);
}

FD_INLINE v_f32
f32_load_bfloat(const uint16_t *from)
{
    const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* NaN is made quiet and cut off, not rounded. */
FD_INLINE __m256i
f32_to_bfloat(v_f32 v)
{
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const __mmask16 number = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __m512i rounded = _mm512_mask_add_epi32(quiet, number, bits, half);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

/* float16 stays in registers of 16, as it is converted. */
#define FD_OWN_F16

typedef struct {
    __m256i first, second;
} v_f16;

FD_INLINE v_f16
f16_load(const uint16_t *from)
{
    const v_f16 result = {_mm256_loadu_si256((const __m256i *)(const void *)from),
                          _mm256_loadu_si256((const __m256i *)(const void *)(from + 16))};
    return result;
}

FD_INLINE void
f16_store(uint16_t *to, v_f16 v)
{
    _mm256_storeu_si256((__m256i *)(void *)to, v.first);
    _mm256_storeu_si256((__m256i *)(void *)(to + 16), v.second);
}

FD_INLINE void
f16_store_past(uint16_t *to, v_f16 v)
{
    _mm256_stream_si256((__m256i *)(void *)to, v.first);
    _mm256_stream_si256((__m256i *)(void *)(to + 16), v.second);
}

FD_INLINE v_f16
f16_keep(v_f16 a, uint32_t bits)
{
    const v_f16 result = {_mm256_maskz_mov_epi16((__mmask16)bits, a.first),
                          _mm256_maskz_mov_epi16((__mmask16)(bits >> 16), a.second)};
    return result;
}

FD_INLINE v_f16
f16_select(v_f16 a, v_f16 b, uint32_t bits)
{
    const v_f16 result = {_mm256_mask_blend_epi16((__mmask16)bits, b.first, a.first),
                          _mm256_mask_blend_epi16((__mmask16)(bits >> 16), b.second, a.second)};
    return result;
}

FD_INLINE uint32_t
f16_not_below(v_f16 a)
{
    const __m256i minus_infinity = _mm256_set1_epi16(-0x400); /* and NaNs with a sign are above */
    const uint32_t first = _mm256_mask_test_epi16_mask(
        _mm256_cmpgt_epi16_mask(a.first, minus_infinity), a.first, a.first);
    const uint32_t second = _mm256_mask_test_epi16_mask(
        _mm256_cmpgt_epi16_mask(a.second, minus_infinity), a.second, a.second);
    return first | second << 16;
}

FD_INLINE v_f16
f16_plus_zero(v_f16 a)
{
    const __m256i minus_zero = _mm256_set1_epi16(-0x8000);
    const v_f16 result = {
        _mm256_maskz_mov_epi16(_mm256_cmpneq_epi16_mask(a.first, minus_zero), a.first),
        _mm256_maskz_mov_epi16(_mm256_cmpneq_epi16_mask(a.second, minus_zero), a.second)};
    return result;
}

FD_INLINE v_f16
f32_to_halves(v_f32 first, v_f32 second)
{
    const v_f16 result = {f32_to_half(first), f32_to_half(second)};
    return result;
}

#define f64_set1(x) _mm512_set1_pd(x)
#define f64_load(from) _mm512_loadu_pd(from)
#define f64_load_f32(from) _mm512_cvtps_pd(_mm256_loadu_ps(from))
#define f64_store(to, v) _mm512_storeu_pd(to, v)
#define f64_store_past(to, v) _mm512_stream_pd(to, v)
#define f64_store_f32(to, v) _mm256_storeu_ps(to, _mm512_cvtpd_ps(v))
#define f64_store_bytes(to, v)                                                                     \
    _mm_storel_epi64((__m128i *)(void *)(to), _mm512_cvtusepi64_epi8(_mm512_cvttpd_epu64(v)))
#define f64_mul(a, b) _mm512_mul_pd(a, b)
#define f64_add(a, b) _mm512_add_pd(a, b)
#define f64_sub(a, b) _mm512_sub_pd(a, b)
#define f64_div(a, b) _mm512_div_pd(a, b)
#define f64_max(a, b) _mm512_max_pd(a, b)
#define f64_power(a)                                                                               \
    _mm512_castsi512_pd(                                                                           \
        _mm512_slli_epi64(_mm512_add_epi64(_mm512_castpd_si512(a), _mm512_set1_epi64(1023)), 52))
#define f64_not_below(a) ((uint8_t)_mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_NLE_UQ))
#define f64_select(a, b, bits) _mm512_mask_blend_pd((__mmask8)(bits), b, a)
#define f64_keep(a, bits) _mm512_maskz_mov_pd((__mmask8)(bits), a)

#endif
