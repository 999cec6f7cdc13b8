/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FD_ARITHMETIC_H
#define FD_ARITHMETIC_H

#include "avx512.h"

#define f32_add(a, b) _mm512_add_ps(a, b)
#define f32_sub(a, b) _mm512_sub_ps(a, b)
#define f32_max(a, b) _mm512_max_ps(a, b)
#define f32_power(a)                                                                               \
    _mm512_castsi512_ps(                                                                           \
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(127)), 23))
#define f64_add(a, b) _mm512_add_pd(a, b)
#define f64_sub(a, b) _mm512_sub_pd(a, b)
#define f64_max(a, b) _mm512_max_pd(a, b)
#define f64_power(a)                                                                               \
    _mm512_castsi512_pd(                                                                           \
        _mm512_slli_epi64(_mm512_add_epi64(_mm512_castpd_si512(a), _mm512_set1_epi64(1023)), 52))

#endif
