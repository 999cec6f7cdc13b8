/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar_floats.h on registers side by side: a part of wide.h.
 */
#ifndef FD_SIMD_WIDE_FLOATS_H
#define FD_SIMD_WIDE_FLOATS_H

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

#endif
