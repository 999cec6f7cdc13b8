/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Layer norm and RMS norm of one row, and their derivatives, after dropout and the sum with a
 * residual. A row is computed in float32, or float64 where its elements are that; it is rounded
 * where it is stored.
 *
 * Sums are kept for each of 32 (float64: 16) places, and folded at the end, so that they are the
 * same in every table. A row of numbers has room for whole groups of so many, and is 0 behind its
 * end.
 */
#ifndef FD_NORM_H
#define FD_NORM_H

#include "../apply/parts.h"

/* Of numbers alone. */
#define FD_DEFINE_MOMENTS(TYPE, NUMBER, V, VECTOR, GROUP)                                          \
    FD_INLINE NUMBER norm_fold_##TYPE(VECTOR first, VECTOR second)                                 \
    {                                                                                              \
        NUMBER place[GROUP];                                                                       \
        V##_store(place, V##_add(first, second));                                                  \
        for (int half = GROUP / 2; half; half /= 2) {                                              \
            for (int i = 0; i < half; i++) {                                                       \
                place[i] += place[i + half];                                                       \
            }                                                                                      \
        }                                                                                          \
        return place[0];                                                                           \
    }                                                                                              \
    FD_INLINE uint##GROUP##_t norm_rest_##TYPE(size_t i, size_t n)                                 \
    {                                                                                              \
        return (uint##GROUP##_t)(i < n ? fd_low_bits(n - i) : 0);                                  \
    }                                                                                              \
    static void norm_moments_##TYPE(const void *numbers, size_t n, int centered, fd_norm_row *row) \
    {                                                                                              \
        const NUMBER *x = (const NUMBER *)numbers, count = (NUMBER)n;                              \
        NUMBER mean = 0, shift = 0, variance;                                                      \
        VECTOR first = V##_set1(0), second = first, off = first, off_second = first, center;       \
        size_t i = 0;                                                                              \
        if (centered) {                                                                            \
            for (; i < n; i += 2 * GROUP) {                                                        \
                first = V##_add(first, V##_load(x + i));                                           \
                second = V##_add(second, V##_load(x + i + GROUP));                                 \
            }                                                                                      \
            mean = norm_fold_##TYPE(first, second) / count;                                        \
            first = second = off;                                                                  \
        }                                                                                          \
        center = V##_set1(mean);                                                                   \
        for (i = 0; i + 2 * GROUP <= n; i += 2 * GROUP) {                                          \
            const VECTOR a = V##_sub(V##_load(x + i), center);                                     \
            const VECTOR b = V##_sub(V##_load(x + i + GROUP), center);                             \
            off = V##_add(off, a);                                                                 \
            off_second = V##_add(off_second, b);                                                   \
            first = V##_add(first, V##_mul(a, a));                                                 \
            second = V##_add(second, V##_mul(b, b));                                               \
        }                                                                                          \
        if (i < n) { /* behind the end there are zeros, which are not the mean */                  \
            const VECTOR a = V##_keep(V##_sub(V##_load(x + i), center), norm_rest_##TYPE(i, n));   \
            const VECTOR b = V##_keep(V##_sub(V##_load(x + i + GROUP), center),                    \
                                      norm_rest_##TYPE(i + GROUP, n));                             \
            off = V##_add(off, a);                                                                 \
            off_second = V##_add(off_second, b);                                                   \
            first = V##_add(first, V##_mul(a, a));                                                 \
            second = V##_add(second, V##_mul(b, b));                                               \
        }                                                                                          \
        variance = norm_fold_##TYPE(first, second) / count;                                        \
        if (centered) {                                                                            \
            shift = norm_fold_##TYPE(off, off_second) / count;                                     \
            variance -= shift * shift;                                                             \
            variance = variance < 0 ? 0 : variance;                                                \
        }                                                                                          \
        row->mean = mean;                                                                          \
        row->shift = shift;                                                                        \
        row->variance = variance;                                                                  \
    }

FD_DEFINE_MOMENTS(float32, float, f32, v_f32, 16)
FD_DEFINE_MOMENTS(float64, double, f64, v_f64, 8)

/* Of elements too. */
#define FD_DEFINE_NORM(DTYPE, ELEMENT, TYPE, NUMBER, V, VECTOR, GROUP)                             \
    static void DTYPE##_norm_join(const uint8_t *kept, size_t at, const void *x,                   \
                                  const void *other, const void *bias, double scale, size_t n,     \
                                  void *sums)                                                      \
    {                                                                                              \
        const VECTOR factor = V##_set1((NUMBER)scale);                                             \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            VECTOR sum = DTYPE##_load_part((const ELEMENT *)other + i, n - i);                     \
            if (x != NULL) {                                                                       \
                VECTOR number = DTYPE##_load_part((const ELEMENT *)x + i, n - i);                  \
                if (bias != NULL) {                                                                \
                    number = V##_add(number, V##_load((const NUMBER *)bias + i));                  \
                }                                                                                  \
                number = V##_keep(V##_mul(number, factor), fd_kept_##GROUP(kept, at + i));         \
                sum = V##_add(sum, number);                                                        \
            }                                                                                      \
            V##_store((NUMBER *)sums + i, sum);                                                    \
        }                                                                                          \
    }                                                                                              \
    static void DTYPE##_round(const void *numbers, size_t n, void *y)                              \
    {                                                                                              \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            DTYPE##_store_part((ELEMENT *)y + i, V##_load((const NUMBER *)numbers + i), n - i);    \
        }                                                                                          \
    }                                                                                              \
    static void DTYPE##_norm_scale(const void *numbers, size_t n, const fd_norm_row *row,          \
                                   const void *weight, const void *bias, void *y)                  \
    {                                                                                              \
        const VECTOR mean = V##_set1((NUMBER)row->mean), shift = V##_set1((NUMBER)row->shift);     \
        const VECTOR inverse = V##_set1((NUMBER)row->inverse);                                     \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            VECTOR number = V##_sub(V##_load((const NUMBER *)numbers + i), mean);                  \
            number = V##_mul(V##_sub(number, shift), inverse);                                     \
            if (weight != NULL) {                                                                  \
                number = V##_mul(number, V##_load((const NUMBER *)weight + i));                    \
            }                                                                                      \
            if (bias != NULL) {                                                                    \
                number = V##_add(number, V##_load((const NUMBER *)bias + i));                      \
            }                                                                                      \
            DTYPE##_store_part((ELEMENT *)y + i, number, n - i);                                   \
        }                                                                                          \
    }                                                                                              \
    static void DTYPE##_norm_products(void *numbers, const void *dy, size_t n, const void *weight, \
                                      void *gradients, void *dweight, void *dbias,                 \
                                      fd_norm_row *row)                                            \
    {                                                                                              \
        const VECTOR mean = V##_set1((NUMBER)row->mean), shift = V##_set1((NUMBER)row->shift);     \
        const VECTOR inverse = V##_set1((NUMBER)row->inverse);                                     \
        VECTOR sum[2] = {V##_set1(0), V##_set1(0)}, product[2] = {V##_set1(0), V##_set1(0)};       \
        for (size_t i = 0; i < n; i += 2 * GROUP) {                                                \
            for (size_t j = 0; j < 2; j++) {                                                       \
                const size_t k = i + j * GROUP;                                                    \
                VECTOR number = V##_sub(V##_load((NUMBER *)numbers + k), mean);                    \
                VECTOR gradient = V##_set1(0);                                                     \
                number = V##_mul(V##_sub(number, shift), inverse);                                 \
                if (k < n) {                                                                       \
                    gradient = DTYPE##_load_part((const ELEMENT *)dy + k, n - k);                  \
                }                                                                                  \
                if (k + GROUP > n) {                                                               \
                    number = V##_keep(number, norm_rest_##TYPE(k, n));                             \
                }                                                                                  \
                if (dweight != NULL) {                                                             \
                    NUMBER *to = (NUMBER *)dweight + k;                                            \
                    V##_store(to, V##_add(V##_load(to), V##_mul(gradient, number)));               \
                }                                                                                  \
                if (dbias != NULL) {                                                               \
                    NUMBER *to = (NUMBER *)dbias + k;                                              \
                    V##_store(to, V##_add(V##_load(to), gradient));                                \
                }                                                                                  \
                if (weight != NULL) {                                                              \
                    gradient = V##_mul(gradient, V##_load((const NUMBER *)weight + k));            \
                }                                                                                  \
                sum[j] = V##_add(sum[j], gradient);                                                \
                product[j] = V##_add(product[j], V##_mul(gradient, number));                       \
                V##_store((NUMBER *)numbers + k, number);                                          \
                V##_store((NUMBER *)gradients + k, gradient);                                      \
            }                                                                                      \
        }                                                                                          \
        row->sum = norm_fold_##TYPE(sum[0], sum[1]) / (NUMBER)n;                                   \
        row->product = norm_fold_##TYPE(product[0], product[1]) / (NUMBER)n;                       \
    }                                                                                              \
    static void DTYPE##_norm_backward(const uint8_t *kept, size_t at, const void *numbers,         \
                                      const void *gradients, const void *dsum, double scale,       \
                                      size_t n, const fd_norm_row *row, void *dresidual, void *dx, \
                                      void *dlinear_bias)                                          \
    {                                                                                              \
        const VECTOR sum = V##_set1((NUMBER)row->sum), product = V##_set1((NUMBER)row->product);   \
        const VECTOR inverse = V##_set1((NUMBER)row->inverse), factor = V##_set1((NUMBER)scale);   \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            const VECTOR part = V##_mul(V##_load((const NUMBER *)numbers + i), product);           \
            VECTOR gradient = V##_sub(V##_load((const NUMBER *)gradients + i), sum);               \
            gradient = V##_mul(V##_sub(gradient, part), inverse);                                  \
            if (dsum != NULL) {                                                                    \
                gradient = V##_add(gradient, DTYPE##_load_part((const ELEMENT *)dsum + i, n - i)); \
            }                                                                                      \
            if (dresidual != NULL) {                                                               \
                DTYPE##_store_part((ELEMENT *)dresidual + i, gradient, n - i);                     \
            }                                                                                      \
            gradient = V##_keep(V##_mul(gradient, factor), fd_kept_##GROUP(kept, at + i));         \
            if (dx != NULL) {                                                                      \
                DTYPE##_store_part((ELEMENT *)dx + i, gradient, n - i);                            \
            }                                                                                      \
            if (dlinear_bias != NULL) {                                                            \
                NUMBER *to = (NUMBER *)dlinear_bias + i;                                           \
                V##_store(to, V##_add(V##_load(to), gradient));                                    \
            }                                                                                      \
        }                                                                                          \
    }

FD_DEFINE_NORM(float16, uint16_t, float32, float, f32, v_f32, 16)
FD_DEFINE_NORM(bfloat16, uint16_t, float32, float, f32, v_f32, 16)
FD_DEFINE_NORM(float32, float, float32, float, f32, v_f32, 16)
FD_DEFINE_NORM(float64, double, float64, double, f64, v_f64, 8)

#endif
