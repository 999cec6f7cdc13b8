/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar_doubles.h on registers side by side: a part of wide.h.
 */
#ifndef FD_SIMD_WIDE_DOUBLES_H
#define FD_SIMD_WIDE_DOUBLES_H

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
