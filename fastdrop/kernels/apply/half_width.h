/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Vectors of 32 float16 or bfloat16, and of the 32 float32 that they are computed in.
 *
 * Only `numbers`, `factors` and `narrow` know which float32 share a vector. Those of bfloat16 are
 * the even and the odd ones, since 32 bits with a pair of elements are almost two float32 as they
 * are.
 */
#ifndef FD_HALF_WIDTH_H
#define FD_HALF_WIDTH_H

#include "../kernels.h"

typedef struct {
    v_f32 first, second;
} v_f32x2;

FD_INLINE v_f32x2
f32x2_set1(float x)
{
    const v_f32x2 result = {f32_set1(x), f32_set1(x)};
    return result;
}

FD_INLINE v_f32x2
f32x2_add(v_f32x2 a, v_f32x2 b)
{
    const v_f32x2 result = {f32_add(a.first, b.first), f32_add(a.second, b.second)};
    return result;
}

FD_INLINE v_f32x2
f32x2_mul(v_f32x2 a, v_f32x2 b)
{
    const v_f32x2 result = {f32_mul(a.first, b.first), f32_mul(a.second, b.second)};
    return result;
}

/* !(a <= 0). Read as signed 16-bit integers, negative floats go from 0x8000 (-0), the least, up to
 * -infinity; above that there are NaNs, then +0 (the integer 0), then positive floats. Example, for
 * float16: -infinity is 0xFC00; 0xFC01 is a NaN, greater than it, and not 0: so it counts. */
FD_INLINE uint32_t
u16_not_below(v_u16 a, uint16_t minus_infinity)
{
    return u16_greater(a, u16_set1(minus_infinity)) & ~u16_equal(a, u16_set1(0));
}

FD_INLINE v_u16
u16_plus_zero(v_u16 a)
{
    return u16_except(a, u16_set1(0x8000u)); /* -0 */
}

typedef v_u16 v_bf16;

#define bf16_load u16_load
#define bf16_store u16_store
#define bf16_store_past u16_store_past
#define bf16_keep u16_keep
#define bf16_select u16_select
#define bf16_not_below(a) u16_not_below(a, 0xFF80u)
#define bf16_plus_zero u16_plus_zero

#define bf16_narrow(a) f32_to_bfloats((a).first, (a).second)

FD_INLINE v_f32x2
bf16_numbers(const uint16_t *from)
{
    const v_u16 a = u16_load(from);
    const v_f32x2 result = {f32_from_even_bfloats(a), f32_from_odd_bfloats(a)};
    return result;
}

FD_INLINE v_f32x2
bf16_factors(const float *from)
{
    const v_f32x2 result = {f32_load_even(from), f32_load_odd(from)};
    return result;
}

FD_INLINE v_f32x2
f16_numbers(const uint16_t *from)
{
    const v_f32x2 result = {f32_load_half(from), f32_load_half(from + 16)};
    return result;
}

FD_INLINE v_f32x2
f16_factors(const float *from)
{
    const v_f32x2 result = {f32_load(from), f32_load(from + 16)};
    return result;
}

#ifndef FD_OWN_F16
typedef v_u16 v_f16;

#define f16_load u16_load
#define f16_store u16_store
#define f16_store_past u16_store_past
#define f16_keep u16_keep
#define f16_select u16_select
#define f16_not_below(a) u16_not_below(a, 0xFC00u)
#define f16_plus_zero u16_plus_zero
#endif

#define f16_narrow(a) f32_to_halves((a).first, (a).second)

/* other + (kept ? number : +0), chosen where the elements are narrow: what is dropped leaves the
 * other as it is, but for the sign of a zero. */
#define FD_DEFINE_ADD_KEPT(V)                                                                      \
    FD_INLINE v_##V V##_add_kept(const uint16_t *other, v_f32x2 number, uint32_t bits)             \
    {                                                                                              \
        const v_##V sum = V##_narrow(f32x2_add(V##_numbers(other), number));                       \
        return V##_select(sum, V##_plus_zero(V##_load(other)), bits);                              \
    }

FD_DEFINE_ADD_KEPT(f16)
FD_DEFINE_ADD_KEPT(bf16)

#endif
