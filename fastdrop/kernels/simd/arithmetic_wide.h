/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The operations of arithmetic_scalar.h on several registers side by side, as wide.h.
 */
#ifndef FD_ARITHMETIC_H
#define FD_ARITHMETIC_H

#include "wide.h"

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
f32_max(v_f32 a, v_f32 b)
{
    FD_RESULT(v_f32, r_f32_max(a.r[i], b.r[i]));
}

FD_INLINE v_f32
f32_power(v_f32 a)
{
    FD_RESULT(v_f32, r_f32_power(a.r[i]));
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
f64_max(v_f64 a, v_f64 b)
{
    FD_RESULT(v_f64, r_f64_max(a.r[i], b.r[i]));
}

FD_INLINE v_f64
f64_power(v_f64 a)
{
    FD_RESULT(v_f64, r_f64_power(a.r[i]));
}

#endif
