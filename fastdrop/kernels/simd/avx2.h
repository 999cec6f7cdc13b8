/* SPDX-License-Identifier: BSD-3-Clause
 *
 * AVX2 with F16C, BMI and POPCNT (every CPU that has the first has the others): two registers.
 */
#include <immintrin.h>

#include "../common.h"

#define FD_REGISTERS 2

typedef __m256i r_u64;
typedef __m256 r_f32;
typedef __m256d r_f64;

#define r_load(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define r_load_u16(from) _mm256_setr_epi64x((from)[0], (from)[1], (from)[2], (from)[3])
#define r_store(to, v) _mm256_storeu_si256((__m256i *)(void *)(to), v)
#define r_set1(word) _mm256_set1_epi64x((long long)(word))
#define r_set1_32(bits) _mm256_set1_epi32((int)(bits))
#define r_add64(a, b) _mm256_add_epi64(a, b)
#define r_sub64(a, b) _mm256_sub_epi64(a, b)
#define r_or(a, b) _mm256_or_si256(a, b)
#define r_and(a, b) _mm256_and_si256(a, b)
#define r_shl32(a, n) _mm256_slli_epi32(a, n)
#define r_shr32(a, n) _mm256_srli_epi32(a, n)
#define r_xor(a, b) _mm256_xor_si256(a, b)
#define r_shl64(a, n) _mm256_slli_epi64(a, n)
#define r_shr64(a, n) _mm256_srli_epi64(a, n)
#define r_mul32(a, b) _mm256_mul_epu32(a, b)
#define r_join32(low, high) _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA)
#define r_zip_even(a, b) _mm256_unpacklo_epi64(a, b)
#define r_zip_odd(a, b) _mm256_unpackhi_epi64(a, b)
#define r_set1_16(x) _mm256_set1_epi16((short)(x))
#define r_bits16(bits, i)                                                                          \
    _mm256_shuffle_epi8(_mm256_set1_epi32((int)(bits)), _mm256_set1_epi16((i) ? 0x0302 : 0x0100))
#define r_sub16(a, b) _mm256_sub_epi16(a, b)
#define r_eq16(a, b) _mm256_cmpeq_epi16(a, b)
#define r_gt16(a, b) _mm256_cmpgt_epi16(a, b)
#define r_andnot(a, b) _mm256_andnot_si256(a, b)
#define r_choose16(a, b, set) _mm256_blendv_epi8(b, a, set)
#define r_tops16(even, odd) _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xAA)
#define r_rests16(even, odd) _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA)
#define r_store_past(to, v) _mm256_stream_si256((__m256i *)(void *)(to), v)
#define r_bytes_eq(a, b) ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)))
#define r_bytes_ge(a, b) r_bytes_eq(_mm256_max_epu8(a, b), a)
#define v_prefetch(line) _mm_prefetch((const char *)(line), _MM_HINT_T0)

#define r_f32_set1(x) _mm256_set1_ps(x)
#define r_f32_load(from) _mm256_loadu_ps(from)
#define r_f32_store(to, v) _mm256_storeu_ps(to, v)
#define r_f32_store_past(to, v) _mm256_stream_ps(to, v)
#define r_f32_in_order(a) /* the middle two pairs are exchanged */                                 \
    _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xD8))
#define r_f32_even(a, b) r_f32_in_order(_mm256_shuffle_ps(a, b, 0x88))
#define r_f32_odd(a, b) r_f32_in_order(_mm256_shuffle_ps(a, b, 0xDD))
#define r_f32_mul(a, b) _mm256_mul_ps(a, b)
#define r_f32_add(a, b) _mm256_add_ps(a, b)
#define r_f32_sub(a, b) _mm256_sub_ps(a, b)
#define r_f32_div(a, b) _mm256_div_ps(a, b)
#define r_f32_max(a, b) _mm256_max_ps(a, b)
#define r_f32_power(a)                                                                             \
    _mm256_castsi256_ps(                                                                           \
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(127)), 23))
#define r_f32_from_i32(a) _mm256_cvtepi32_ps(a)
#define r_f32_from_bits(a) _mm256_castsi256_ps(a)
#define r_f32_bits(a) _mm256_castps_si256(a)
#define r_bit32(a, n) _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 31 - (n))))
#define r_f32_mantissa(a)                                                                          \
    _mm256_or_ps(r_f32_and(a, _mm256_set1_epi32(0x007FFFFF)), _mm256_set1_ps(1.0f))
#define r_f32_copysign(magnitude, sign)                                                            \
    _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)))
#define r_f32_not_below(a) _mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NLE_UQ))
#define r_set32(all, own) _mm256_cmpeq_epi32(_mm256_and_si256(all, own), own)
#define r_f32_and(a, set) _mm256_and_ps(a, _mm256_castsi256_ps(set))
#define r_f32_choose(a, b, set) _mm256_blendv_ps(b, a, _mm256_castsi256_ps(set))
#define r_f32_load_half(from)                                                                      \
    _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from)))
#define r_f32_to_half(v) _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define r_f32_store_half(to, v) _mm_storeu_si128((__m128i *)(void *)(to), r_f32_to_half(v))
#define r_f32_store_bfloat(to, v) _mm_storeu_si128((__m128i *)(void *)(to), r_f32_to_bfloat(v))
#define r_f32_to_halves(low, high)                                                                 \
    _mm256_inserti128_si256(_mm256_castsi128_si256(r_f32_to_half(low)), r_f32_to_half(high), 1)

/* One bit of each 16 that are all ones or all zeros. */
FD_INLINE uint32_t
r_signs16(__m256i lanes)
{
    const __m256i packed = _mm256_packs_epi16(lanes, _mm256_setzero_si256());
    const uint32_t bits = (uint32_t)_mm256_movemask_epi8(packed);
    return bits >> 8 | (bits & 0xFF);
}

/* Both halves of the table; bit 3 of the place, moved to the sign, chooses. */
FD_INLINE r_f32
r_f32_lookup(const float *table, r_u64 at)
{
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), at);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), at);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
}

FD_INLINE r_f32
r_f32_load_bfloat(const uint16_t *from)
{
    const __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

FD_INLINE __m128i
r_f32_to_bfloat(r_f32 v)
{
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i top = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i biased = _mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(biased, odd), 16);
    const __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i halves = _mm256_blendv_epi8(rounded, quiet, nan);
    const __m256i packed = _mm256_packus_epi32(halves, halves);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

#define r_f64_set1(x) _mm256_set1_pd(x)
#define r_f64_load(from) _mm256_loadu_pd(from)
#define r_f64_load_f32(from) _mm256_cvtps_pd(_mm_loadu_ps(from))
#define r_f64_store(to, v) _mm256_storeu_pd(to, v)
#define r_f64_store_past(to, v) _mm256_stream_pd(to, v)
#define r_f64_store_f32(to, v) _mm_storeu_ps(to, _mm256_cvtpd_ps(v))
#define r_f64_mul(a, b) _mm256_mul_pd(a, b)
#define r_f64_add(a, b) _mm256_add_pd(a, b)
#define r_f64_sub(a, b) _mm256_sub_pd(a, b)
#define r_f64_div(a, b) _mm256_div_pd(a, b)
#define r_f64_max(a, b) _mm256_max_pd(a, b)
#define r_f64_power(a)                                                                             \
    _mm256_castsi256_pd(                                                                           \
        _mm256_slli_epi64(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_set1_epi64x(1023)), 52))
#define r_f64_not_below(a) _mm256_movemask_pd(_mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_NLE_UQ))
#define r_f64_and(a, set) _mm256_and_pd(a, _mm256_castsi256_pd(set))
#define r_f64_choose(a, b, set) _mm256_blendv_pd(b, a, _mm256_castsi256_pd(set))

FD_INLINE void
r_f64_store_bytes(uint8_t *to, r_f64 v)
{
    const __m128i whole = _mm256_cvttpd_epi32(v), shorts = _mm_packs_epi32(whole, whole);
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(shorts, shorts));
    memcpy(to, &bytes, 4);
}

/* Each byte of the result picks the byte of bits that holds its own bit, and looks at that. */
FD_INLINE void
v_unpack64(uint64_t bits, uint8_t *to)
{
    const __m256i pick =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i own = _mm256_set1_epi64x((long long)0x8040201008040201u);
    for (int i = 0; i < 2; i++) {
        const __m256i all = _mm256_set1_epi32((int)(uint32_t)(bits >> 32 * i));
        const __m256i picked = _mm256_and_si256(_mm256_shuffle_epi8(all, pick), own);
        const __m256i set = _mm256_cmpeq_epi8(picked, own);
        r_store(to + 32 * i, _mm256_and_si256(set, _mm256_set1_epi8(1)));
    }
}

#include "wide.h"
