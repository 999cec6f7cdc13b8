/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The maximum of NEON is NaN where a number is: so it is a comparison and a choice.
 */
#include "neon.h"

#define r_f32_add(a, b) vaddq_f32(a, b)
#define r_f32_sub(a, b) vsubq_f32(a, b)
#define r_f32_max(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define r_f32_power(a)                                                                             \
    vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(127)), 23))
#define r_f64_add(a, b) vaddq_f64(a, b)
#define r_f64_sub(a, b) vsubq_f64(a, b)
#define r_f64_max(a, b) vbslq_f64(vcgtq_f64(a, b), a, b)
#define r_f64_power(a)                                                                             \
    vreinterpretq_f64_u64(vshlq_n_u64(vaddq_u64(vreinterpretq_u64_f64(a), vdupq_n_u64(1023)), 52))

#include "arithmetic_wide.h"
