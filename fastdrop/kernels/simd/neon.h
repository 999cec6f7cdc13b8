/* SPDX-License-Identifier: BSD-3-Clause
 *
 * NEON, which every AArch64 CPU has: four registers. It has no store past the caches.
 */
#include <arm_neon.h>

#include "half.h"

#define FD_REGISTERS 4

typedef uint64x2_t r_u64;
typedef float32x4_t r_f32;
typedef float64x2_t r_f64;

#define r_load(from) vreinterpretq_u64_u8(vld1q_u8((const uint8_t *)(const void *)(from)))
#define r_load_u16(from) vcombine_u64(vcreate_u64((from)[0]), vcreate_u64((from)[1]))
#define r_store(to, v) vst1q_u8((uint8_t *)(void *)(to), vreinterpretq_u8_u64(v))
#define r_set1(word) vdupq_n_u64(word)
#define r_set1_32(bits) vreinterpretq_u64_u32(vdupq_n_u32(bits))
#define r_add64(a, b) vaddq_u64(a, b)
#define r_sub64(a, b) vsubq_u64(a, b)
#define r_or(a, b) vorrq_u64(a, b)
#define r_and(a, b) vandq_u64(a, b)
#define r_shl32(a, n) vreinterpretq_u64_u32(vshlq_u32(vreinterpretq_u32_u64(a), vdupq_n_s32(n)))
#define r_shr32(a, n) vreinterpretq_u64_u32(vshlq_u32(vreinterpretq_u32_u64(a), vdupq_n_s32(-(n))))
#define r_xor(a, b) veorq_u64(a, b)
#define r_shl64(a, n) vshlq_u64(a, vdupq_n_s64(n))
#define r_shr64(a, n) vshlq_u64(a, vdupq_n_s64(-(n)))
#define r_mul32(a, b) vmull_u32(vmovn_u64(a), vmovn_u64(b))
#define r_join32(low, high) vsliq_n_u64(low, high, 32)
#define r_zip_even(a, b) vzip1q_u64(a, b)
#define r_zip_odd(a, b) vzip2q_u64(a, b)
#define r_set1_16(x) vreinterpretq_u64_u16(vdupq_n_u16(x))
#define r_bits16(bits, i) r_set1_16((uint16_t)((bits) >> 8 * (i)))
#define r_sub16(a, b)                                                                              \
    vreinterpretq_u64_u16(vsubq_u16(vreinterpretq_u16_u64(a), vreinterpretq_u16_u64(b)))
#define r_eq16(a, b)                                                                               \
    vreinterpretq_u64_u16(vceqq_u16(vreinterpretq_u16_u64(a), vreinterpretq_u16_u64(b)))
#define r_gt16(a, b)                                                                               \
    vreinterpretq_u64_u16(vcgtq_s16(vreinterpretq_s16_u64(a), vreinterpretq_s16_u64(b)))
#define r_andnot(a, b) vbicq_u64(b, a)
#define r_choose16(a, b, set) vbslq_u64(set, a, b)
#define r_tops16(even, odd)                                                                        \
    vreinterpretq_u64_u16(vtrn2q_u16(vreinterpretq_u16_u64(even), vreinterpretq_u16_u64(odd)))
#define r_rests16(even, odd)                                                                       \
    vreinterpretq_u64_u16(vtrn1q_u16(vreinterpretq_u16_u64(even), vreinterpretq_u16_u64(odd)))
#define r_store_past(to, v) r_store(to, v)
#define v_prefetch(line) ((void)(line))

/* One bit of each byte that is all ones or all zeros. */
FD_INLINE uint32_t
r_byte_signs(uint8x16_t bytes)
{
    const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t picked = vandq_u8(bytes, own);
    return (uint32_t)vaddv_u8(vget_low_u8(picked)) | (uint32_t)vaddv_u8(vget_high_u8(picked)) << 8;
}

/* Likewise of each 16 bits. */
FD_INLINE uint32_t
r_signs16(r_u64 lanes)
{
    static const uint16_t own[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddvq_u16(vandq_u16(vreinterpretq_u16_u64(lanes), vld1q_u16(own)));
}

/* One bit of each 32-bit lane that is all ones; of each 64-bit lane that is all zeros. */
FD_INLINE uint32_t
r_signs32(uint32x4_t lanes)
{
    static const uint32_t own[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, vld1q_u32(own)));
}

FD_INLINE uint32_t
r_signs64(uint64x2_t lanes)
{
    return (uint32_t)(~vgetq_lane_u64(lanes, 0) & 1) | (uint32_t)(~vgetq_lane_u64(lanes, 1) & 2);
}

#define r_bytes_eq(a, b) r_byte_signs(vceqq_u8(vreinterpretq_u8_u64(a), vreinterpretq_u8_u64(b)))
#define r_bytes_ge(a, b) r_byte_signs(vcgeq_u8(vreinterpretq_u8_u64(a), vreinterpretq_u8_u64(b)))

#define r_f32_set1(x) vdupq_n_f32(x)
#define r_f32_load(from) vld1q_f32(from)
#define r_f32_store(to, v) vst1q_f32(to, v)
#define r_f32_store_past(to, v) r_f32_store(to, v)
#define r_f32_even(a, b) vuzp1q_f32(a, b)
#define r_f32_odd(a, b) vuzp2q_f32(a, b)
#define r_f32_mul(a, b) vmulq_f32(a, b)
#define r_f32_add(a, b) vaddq_f32(a, b)
#define r_f32_sub(a, b) vsubq_f32(a, b)
#define r_f32_div(a, b) vdivq_f32(a, b)
#define r_f32_max(a, b) vbslq_f32(vcgtq_f32(a, b), a, b) /* its own maximum prefers NaN */
#define r_f32_power(a)                                                                             \
    vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(127)), 23))
#define r_f32_from_i32(a) vcvtq_f32_s32(vreinterpretq_s32_u64(a))
#define r_f32_from_bits(a) vreinterpretq_f32_u64(a)
#define r_f32_bits(a) vreinterpretq_u64_f32(a)
#define r_bit32(a, n) r_signs32(vtstq_u32(vreinterpretq_u32_u64(a), vdupq_n_u32(1u << (n))))
#define r_f32_mantissa(a) vbslq_f32(vdupq_n_u32(0x007FFFFF), a, vdupq_n_f32(1.0f))
#define r_f32_copysign(magnitude, sign) vbslq_f32(vdupq_n_u32(0x80000000), sign, magnitude)
#define r_f32_not_below(a) r_signs32(vmvnq_u32(vcleq_f32(a, vdupq_n_f32(0.0f))))
#define r_set32(all, own) vtstq_u32(vreinterpretq_u32_u64(all), vreinterpretq_u32_u64(own))
#define r_f32_and(a, set) vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), set))
#define r_f32_choose(a, b, set) vbslq_f32(set, a, b)
#define r_f32_load_half(from) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)))
#define r_f32_store_half(to, v) vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(v)))
#define r_f32_to_halves(low, high) vreinterpretq_u64_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high))
#define r_f32_load_bfloat(from) vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16))

/* The table is 64 bytes; float j has those from 4 j on. */
FD_INLINE r_f32
r_f32_lookup(const float *table, r_u64 at)
{
    const uint32x4_t place = vandq_u32(vreinterpretq_u32_u64(at), vdupq_n_u32(15));
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), place, 0x04040404);
    return vreinterpretq_f32_u8(
        vqtbl4q_u8(vld1q_u8_x4((const uint8_t *)table), vreinterpretq_u8_u32(bytes)));
}

FD_INLINE void
r_f32_store_bfloat(uint16_t *to, r_f32 v)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    const uint32x4_t number = vceqq_f32(v, v);
    vst1_u16(to, vshrn_n_u32(vbslq_u32(number, rounded, quiet), 16));
}

#define r_f64_set1(x) vdupq_n_f64(x)
#define r_f64_load(from) vld1q_f64(from)
#define r_f64_load_f32(from) vcvt_f64_f32(vld1_f32(from))
#define r_f64_store(to, v) vst1q_f64(to, v)
#define r_f64_store_past(to, v) r_f64_store(to, v)
#define r_f64_store_f32(to, v) vst1_f32(to, vcvt_f32_f64(v))
#define r_f64_mul(a, b) vmulq_f64(a, b)
#define r_f64_add(a, b) vaddq_f64(a, b)
#define r_f64_sub(a, b) vsubq_f64(a, b)
#define r_f64_div(a, b) vdivq_f64(a, b)
#define r_f64_max(a, b) vbslq_f64(vcgtq_f64(a, b), a, b)
#define r_f64_power(a)                                                                             \
    vreinterpretq_f64_u64(vshlq_n_u64(vaddq_u64(vreinterpretq_u64_f64(a), vdupq_n_u64(1023)), 52))
#define r_f64_not_below(a) r_signs64(vcleq_f64(a, vdupq_n_f64(0.0)))
#define r_f64_and(a, set)                                                                          \
    vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(a), vreinterpretq_u64_u32(set)))
#define r_f64_choose(a, b, set) vbslq_f64(vreinterpretq_u64_u32(set), a, b)

FD_INLINE void
r_f64_store_bytes(uint8_t *to, r_f64 v)
{
    const uint32x2_t whole = vqmovn_u64(vcvtq_u64_f64(v));
    const uint16x4_t shorts = vqmovn_u32(vcombine_u32(whole, whole));
    const uint8x8_t bytes = vqmovn_u16(vcombine_u16(shorts, shorts));
    vst1_lane_u8(to, bytes, 0);
    vst1_lane_u8(to + 1, bytes, 1);
}

#include "bits.h"
#include "wide.h"
