/* SPDX-License-Identifier: BSD-3-Clause */
#include "avx2.h"

#define r_f32_add(a, b) _mm256_add_ps(a, b)
#define r_f32_sub(a, b) _mm256_sub_ps(a, b)
#define r_f32_max(a, b) _mm256_max_ps(a, b)
#define r_f32_power(a)                                                                             \
    _mm256_castsi256_ps(                                                                           \
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(127)), 23))
#define r_f64_add(a, b) _mm256_add_pd(a, b)
#define r_f64_sub(a, b) _mm256_sub_pd(a, b)
#define r_f64_max(a, b) _mm256_max_pd(a, b)
#define r_f64_power(a)                                                                             \
    _mm256_castsi256_pd(                                                                           \
        _mm256_slli_epi64(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_set1_epi64x(1023)), 52))

#include "arithmetic_wide.h"
