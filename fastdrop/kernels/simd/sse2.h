/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SSE2, which every x86-64 CPU has: four registers. It knows no float16.
 */
#include <emmintrin.h>

#include "half.h"

#define FD_REGISTERS 4

typedef __m128i r_u64;
typedef __m128 r_f32;
typedef __m128d r_f64;

#define r_load(from) _mm_loadu_si128((const __m128i *)(const void *)(from))
#define r_load_u16(from) _mm_set_epi64x((from)[1], (from)[0])
#define r_store(to, v) _mm_storeu_si128((__m128i *)(void *)(to), v)
#define r_set1(word) _mm_set1_epi64x((long long)(word))
#define r_set1_32(bits) _mm_set1_epi32((int)(bits))
#define r_add64(a, b) _mm_add_epi64(a, b)
#define r_sub64(a, b) _mm_sub_epi64(a, b)
#define r_or(a, b) _mm_or_si128(a, b)
#define r_and(a, b) _mm_and_si128(a, b)
#define r_shl32(a, n) _mm_slli_epi32(a, n)
#define r_shr32(a, n) _mm_srli_epi32(a, n)
#define r_xor(a, b) _mm_xor_si128(a, b)
#define r_shl64(a, n) _mm_slli_epi64(a, n)
#define r_shr64(a, n) _mm_srli_epi64(a, n)
#define r_mul32(a, b) _mm_mul_epu32(a, b)
#define r_join32(low, high)                                                                        \
    _mm_or_si128(_mm_and_si128(low, _mm_set1_epi64x(0xFFFFFFFF)), _mm_slli_epi64(high, 32))
#define r_zip_even(a, b) _mm_unpacklo_epi64(a, b)
#define r_zip_odd(a, b) _mm_unpackhi_epi64(a, b)
#define r_set1_16(x) _mm_set1_epi16((short)(x))
#define r_bits16(bits, i) r_set1_16((bits) >> 8 * (i))
#define r_sub16(a, b) _mm_sub_epi16(a, b)
#define r_eq16(a, b) _mm_cmpeq_epi16(a, b)
#define r_gt16(a, b) _mm_cmpgt_epi16(a, b)
#define r_andnot(a, b) _mm_andnot_si128(a, b)
#define r_choose16(a, b, set) _mm_or_si128(_mm_and_si128(set, a), _mm_andnot_si128(set, b))
#define r_signs16(a) ((uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, _mm_setzero_si128())))
#define r_tops16(even, odd)                                                                        \
    _mm_or_si128(_mm_srli_epi32(even, 16), _mm_slli_epi32(_mm_srli_epi32(odd, 16), 16))
#define r_rests16(even, odd)                                                                       \
    _mm_or_si128(_mm_srli_epi32(_mm_slli_epi32(even, 16), 16), _mm_slli_epi32(odd, 16))
#define r_store_past(to, v) _mm_stream_si128((__m128i *)(void *)(to), v)
#define r_bytes_eq(a, b) ((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)))
#define r_bytes_ge(a, b) r_bytes_eq(_mm_max_epu8(a, b), a)
#define v_prefetch(line) _mm_prefetch((const char *)(line), _MM_HINT_T0)

#define r_f32_set1(x) _mm_set1_ps(x)
#define r_f32_load(from) _mm_loadu_ps(from)
#define r_f32_store(to, v) _mm_storeu_ps(to, v)
#define r_f32_store_past(to, v) _mm_stream_ps(to, v)
#define r_f32_even(a, b) _mm_shuffle_ps(a, b, 0x88)
#define r_f32_odd(a, b) _mm_shuffle_ps(a, b, 0xDD)
#define r_f32_mul(a, b) _mm_mul_ps(a, b)
#define r_f32_add(a, b) _mm_add_ps(a, b)
#define r_f32_sub(a, b) _mm_sub_ps(a, b)
#define r_f32_div(a, b) _mm_div_ps(a, b)
#define r_f32_max(a, b) _mm_max_ps(a, b)
#define r_f32_power(a)                                                                             \
    _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_castps_si128(a), _mm_set1_epi32(127)), 23))
#define r_f32_from_i32(a) _mm_cvtepi32_ps(a)
#define r_f32_from_bits(a) _mm_castsi128_ps(a)
#define r_f32_bits(a) _mm_castps_si128(a)
#define r_bit32(a, n) _mm_movemask_ps(_mm_castsi128_ps(_mm_slli_epi32(a, 31 - (n))))
#define r_f32_mantissa(a) _mm_or_ps(r_f32_and(a, _mm_set1_epi32(0x007FFFFF)), _mm_set1_ps(1.0f))
#define r_f32_copysign(magnitude, sign) _mm_or_ps(magnitude, _mm_and_ps(sign, _mm_set1_ps(-0.0f)))
#define r_f32_not_below(a) _mm_movemask_ps(_mm_cmpnle_ps(a, _mm_setzero_ps()))
#define r_set32(all, own) _mm_cmpeq_epi32(_mm_and_si128(all, own), own)
#define r_f32_and(a, set) _mm_and_ps(a, _mm_castsi128_ps(set))
#define r_f32_choose(a, b, set)                                                                    \
    _mm_or_ps(r_f32_and(a, set), _mm_andnot_ps(_mm_castsi128_ps(set), b))

FD_INLINE r_f32
r_f32_lookup(const float *table, r_u64 at)
{
    const __m128i place = _mm_and_si128(at, _mm_set1_epi32(15));
    const uint64_t low = (uint64_t)_mm_cvtsi128_si64(place);
    const uint64_t high = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(place, place));
    return _mm_setr_ps(table[(uint32_t)low], table[low >> 32], table[(uint32_t)high],
                       table[high >> 32]);
}

FD_INLINE r_f32
r_f32_load_half(const uint16_t *from)
{
    return _mm_setr_ps(half_to_float(from[0]), half_to_float(from[1]), half_to_float(from[2]),
                       half_to_float(from[3]));
}

FD_INLINE void
r_f32_store_half(uint16_t *to, r_f32 v)
{
    float element[4];
    _mm_storeu_ps(element, v);
    for (int i = 0; i < 4; i++) {
        to[i] = float_to_half(element[i]);
    }
}

FD_INLINE r_u64
r_f32_to_halves(r_f32 low, r_f32 high)
{
    uint16_t half[8];
    r_f32_store_half(half, low);
    r_f32_store_half(half + 4, high);
    return r_load(half);
}

FD_INLINE r_f32
r_f32_load_bfloat(const uint16_t *from)
{
    const __m128i halves = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), halves));
}

FD_INLINE void
r_f32_store_bfloat(uint16_t *to, r_f32 v)
{
    const __m128i bits = _mm_castps_si128(v);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7FFF)), odd);
    const __m128i quiet = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
    const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(v, v));
    const __m128i chosen = _mm_or_si128(_mm_and_si128(nan, quiet), _mm_andnot_si128(nan, rounded));
    const __m128i halves = _mm_srai_epi32(chosen, 16); /* signed, for the signed pack */
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi32(halves, halves));
}

#define r_f64_set1(x) _mm_set1_pd(x)
#define r_f64_load(from) _mm_loadu_pd(from)
#define r_f64_load_f32(from)                                                                       \
    _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)(from))))
#define r_f64_store(to, v) _mm_storeu_pd(to, v)
#define r_f64_store_past(to, v) _mm_stream_pd(to, v)
#define r_f64_store_f32(to, v)                                                                     \
    _mm_storel_epi64((__m128i *)(void *)(to), _mm_castps_si128(_mm_cvtpd_ps(v)))
#define r_f64_mul(a, b) _mm_mul_pd(a, b)
#define r_f64_add(a, b) _mm_add_pd(a, b)
#define r_f64_sub(a, b) _mm_sub_pd(a, b)
#define r_f64_div(a, b) _mm_div_pd(a, b)
#define r_f64_max(a, b) _mm_max_pd(a, b)
#define r_f64_power(a)                                                                             \
    _mm_castsi128_pd(_mm_slli_epi64(_mm_add_epi64(_mm_castpd_si128(a), _mm_set1_epi64x(1023)), 52))
#define r_f64_not_below(a) _mm_movemask_pd(_mm_cmpnle_pd(a, _mm_setzero_pd()))
#define r_f64_and(a, set) _mm_and_pd(a, _mm_castsi128_pd(set))
#define r_f64_choose(a, b, set)                                                                    \
    _mm_or_pd(r_f64_and(a, set), _mm_andnot_pd(_mm_castsi128_pd(set), b))

FD_INLINE void
r_f64_store_bytes(uint8_t *to, r_f64 v)
{
    const __m128i whole = _mm_cvttpd_epi32(v), shorts = _mm_packs_epi32(whole, whole);
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(shorts, shorts));
    memcpy(to, &bytes, 2);
}

#include "bits.h"
#include "wide.h"
