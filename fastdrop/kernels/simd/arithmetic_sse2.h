/* SPDX-License-Identifier: BSD-3-Clause */
#include "sse2.h"

#define r_f32_add(a, b) _mm_add_ps(a, b)
#define r_f32_sub(a, b) _mm_sub_ps(a, b)
#define r_f32_max(a, b) _mm_max_ps(a, b)
#define r_f32_power(a)                                                                             \
    _mm_castsi128_ps(                                                                              \
        _mm_slli_epi32(_mm_add_epi32(_mm_castps_si128(a), _mm_set1_epi32(127)), 23))
#define r_f64_add(a, b) _mm_add_pd(a, b)
#define r_f64_sub(a, b) _mm_sub_pd(a, b)
#define r_f64_max(a, b) _mm_max_pd(a, b)
#define r_f64_power(a)                                                                             \
    _mm_castsi128_pd(                                                                              \
        _mm_slli_epi64(_mm_add_epi64(_mm_castpd_si128(a), _mm_set1_epi64x(1023)), 52))

#include "arithmetic_wide.h"
