/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar_shorts.h on registers side by side: a part of wide.h.
 */
#ifndef FD_SIMD_WIDE_SHORTS_H
#define FD_SIMD_WIDE_SHORTS_H

FD_INLINE v_u16
u16_set1(uint16_t x)
{
    FD_RESULT(v_u16, r_set1_16(x));
}

FD_INLINE v_u16
u16_load(const uint16_t *from)
{
    FD_RESULT(v_u16, r_load(from + FD_R_U16 * i));
}

FD_INLINE void
u16_store(uint16_t *to, v_u16 v)
{
    FD_EACH(r_store(to + FD_R_U16 * i, v.r[i]))
}

FD_INLINE void
u16_store_past(uint16_t *to, v_u16 v)
{
    FD_EACH(r_store_past(to + FD_R_U16 * i, v.r[i]))
}

FD_INLINE uint32_t
u16_greater(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    FD_EACH(bits |= r_signs16(r_gt16(a.r[i], b.r[i])) << FD_R_U16 * i)
    return bits;
}

FD_INLINE uint32_t
u16_equal(v_u16 a, v_u16 b)
{
    uint32_t bits = 0;
    FD_EACH(bits |= r_signs16(r_eq16(a.r[i], b.r[i])) << FD_R_U16 * i)
    return bits;
}

FD_INLINE v_u16
u16_except(v_u16 a, v_u16 b)
{
    FD_RESULT(v_u16, r_andnot(r_eq16(a.r[i], b.r[i]), a.r[i]));
}

/* Every element looks at its own of the bits that register i gets. */
FD_INLINE r_u64
r_set16(uint32_t bits, int i)
{
    static const FD_ALIGN64 uint16_t u16_own[16] = {
        1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
        1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
    const r_u64 own = r_load(u16_own);
    return r_eq16(r_and(r_bits16(bits, i), own), own);
}

FD_INLINE v_u16
u16_keep(v_u16 a, uint32_t bits)
{
    FD_RESULT(v_u16, r_and(a.r[i], r_set16(bits, i)));
}

FD_INLINE v_u16
u16_select(v_u16 a, v_u16 b, uint32_t bits)
{
    FD_RESULT(v_u16, r_choose16(a.r[i], b.r[i], r_set16(bits, i)));
}

/* Rounds to nearest, ties to even: up, if the 16 bits that are cut off are more than half, or half and
 * the last bit that stays is 1. That is so iff rest | last bit > 0x8000. As a signed integer such a
 * decider is above -2^15 and below 0, so its negative is greater than 0. Examples: 0x8001 (half and
 * odd, or more) has the negative 0x7FFF; 0x8000 (half and even) has 0x8000 again, which is not. */
FD_INLINE r_u64
r_round16(r_u64 even, r_u64 odd)
{
    const r_u64 top = r_tops16(even, odd);
    const r_u64 decider = r_or(r_rests16(even, odd), r_and(top, r_set1_16(1)));
    return r_sub16(top, r_gt16(r_sub16(r_set1_16(0), decider), r_set1_16(0)));
}

FD_INLINE v_f32
f32_load_even(const float *from)
{
    FD_RESULT(v_f32, r_f32_even(r_f32_load(from + FD_R_U16 * i),
                                r_f32_load(from + FD_R_U16 * i + FD_R_FLOATS)));
}

FD_INLINE v_f32
f32_load_odd(const float *from)
{
    FD_RESULT(v_f32, r_f32_odd(r_f32_load(from + FD_R_U16 * i),
                               r_f32_load(from + FD_R_U16 * i + FD_R_FLOATS)));
}

FD_INLINE v_f32
f32_from_even_bfloats(v_u16 a)
{
    FD_RESULT(v_f32, r_f32_from_bits(r_shl32(a.r[i], 16)));
}

FD_INLINE v_f32
f32_from_odd_bfloats(v_u16 a)
{
    FD_RESULT(v_f32, r_f32_from_bits(r_and(a.r[i], r_set1_32(0xFFFF0000u))));
}

FD_INLINE v_u16
f32_to_bfloats(v_f32 even, v_f32 odd)
{
    FD_RESULT(v_u16, r_round16(r_f32_bits(even.r[i]), r_f32_bits(odd.r[i])));
}

FD_INLINE v_u16
f32_to_halves(v_f32 first, v_f32 second)
{
    v_u16 result;
    for (int i = 0; i < FD_REGISTERS; i += 2) {
        result.r[i / 2] = r_f32_to_halves(first.r[i], first.r[i + 1]);
        result.r[(FD_REGISTERS + i) / 2] = r_f32_to_halves(second.r[i], second.r[i + 1]);
    }
    return result;
}

#endif
