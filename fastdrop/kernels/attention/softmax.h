/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Softmax and dropout of one row of attention scores, and their derivative. Forward leaves the
 * weights without their common factor, 1 / sum, which is cheaper to put on the product with the
 * values. Backward makes the weights again from the scores, finds the sum of the softmax's
 * derivative, and then turns the gradients of the weights after dropout into those of the scores.
 *
 * Maxima and sums are kept for each place of a group of 16 (float64: 8) numbers, and folded at
 * the end, so that they are the same in every table.
 */
#ifndef FD_SOFTMAX_H
#define FD_SOFTMAX_H

#include <math.h>

#include "../kernels.h"

/* Bits [at, at + 16). */
FD_INLINE uint16_t
kept_16(const uint8_t *kept, size_t at)
{
    const uint8_t *byte = kept + at / 8;
    return (uint16_t)(((uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16) >>
                      at % 8);
}

/* Bits [at, at + 8). */
FD_INLINE uint8_t
kept_8(const uint8_t *kept, size_t at)
{
    const uint8_t *byte = kept + at / 8;
    return (uint8_t)(((uint32_t)byte[0] | (uint32_t)byte[1] << 8) >> at % 8);
}

/* e^x for x up to a little above 0. With n the whole number next to x / ln(2), e^x is 2^n e^r with
 * |r| <= ln(2) / 2, and e^r its Taylor polynomial. Adding MAGIC, 1.5 times the power of two above
 * which numbers are whole, rounds to n, and leaves n in the low bits. At LEAST, and below, the
 * power is 0. ln(2) comes in two parts, the first with so few bits that n times it is exact. */
#define FD_DEFINE_EXP(V, VECTOR, NUMBER, MAGIC, LEAST, LN2, LN2_REST, DEGREE)                      \
    FD_INLINE VECTOR V##_exp(VECTOR x)                                                             \
    {                                                                                              \
        static const NUMBER factorial[] = {                                                        \
            1,    1,     2,      6,         24,         120,         720,                          \
            5040, 40320, 362880, 3628800.0, 39916800.0, 479001600.0, 6227020800.0};                \
        const VECTOR clipped = V##_max(V##_set1(LEAST), x); /* a NaN stays one */                  \
        const VECTOR shifted =                                                                     \
            V##_add(V##_mul(clipped, V##_set1((NUMBER)1.4426950408889634)), V##_set1(MAGIC));      \
        const VECTOR n = V##_sub(shifted, V##_set1(MAGIC));                                        \
        const VECTOR r =                                                                           \
            V##_sub(V##_sub(clipped, V##_mul(n, V##_set1(LN2))), V##_mul(n, V##_set1(LN2_REST)));  \
        VECTOR sum = V##_set1(1 / factorial[DEGREE]);                                              \
        for (int k = DEGREE - 1; k >= 0; k--) {                                                    \
            sum = V##_add(V##_mul(sum, r), V##_set1(1 / factorial[k]));                            \
        }                                                                                          \
        return V##_mul(sum, V##_power(shifted));                                                   \
    }

FD_DEFINE_EXP(f32, v_f32, float, 12582912.0f, -88.0f, 0.693359375f, -2.12194440e-4f, 7)
FD_DEFINE_EXP(f64, v_f64, double, 6755399441055744.0, -709.0, 0.693147180369123816490,
              1.90821492927058770002e-10, 13)

#define FD_DEFINE_SOFTMAX(TYPE, NUMBER, V, VECTOR, GROUP)                                          \
    FD_INLINE NUMBER fold_##TYPE(NUMBER place[GROUP])                                              \
    {                                                                                              \
        for (int half = GROUP / 2; half; half /= 2) {                                              \
            for (int i = 0; i < half; i++) {                                                       \
                place[i] += place[i + half];                                                       \
            }                                                                                      \
        }                                                                                          \
        return place[0];                                                                           \
    }                                                                                              \
    static void softmax_##TYPE(void *numbers, size_t n, const uint8_t *kept, size_t at,            \
                               fd_softmax *row)                                                    \
    {                                                                                              \
        NUMBER *scores = (NUMBER *)numbers, place[GROUP], largest, inverse;                        \
        VECTOR most = V##_set1(-(NUMBER)INFINITY), sum = V##_set1(0), shift;                       \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            most = V##_max(V##_load(scores + i), most);                                            \
        }                                                                                          \
        V##_store(place, most);                                                                    \
        largest = place[0];                                                                        \
        for (int i = 1; i < GROUP; i++) {                                                          \
            largest = place[i] > largest ? place[i] : largest;                                     \
        }                                                                                          \
        largest = largest == -(NUMBER)INFINITY ? 0 : largest; /* all of them are masked */         \
        shift = V##_set1(largest);                                                                 \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            const VECTOR weight = V##_exp(V##_sub(V##_load(scores + i), shift));                   \
            sum = V##_add(sum, weight);                                                            \
            V##_store(scores + i, V##_keep(weight, kept_##GROUP(kept, at + i)));                   \
        }                                                                                          \
        V##_store(place, sum);                                                                     \
        inverse = fold_##TYPE(place);                                                              \
        inverse = inverse == 0 ? 0 : 1 / inverse; /* rounded, where C computes in double */        \
        row->largest = largest;                                                                    \
        row->inverse = inverse;                                                                    \
    }                                                                                              \
    static void softmax_weights_##TYPE(void *numbers, void *gradient_numbers, size_t n,            \
                                       const uint8_t *kept, size_t at, fd_softmax *row)            \
    {                                                                                              \
        NUMBER *scores = (NUMBER *)numbers, *gradients = (NUMBER *)gradient_numbers;               \
        NUMBER place[GROUP];                                                                       \
        const VECTOR largest = V##_set1((NUMBER)row->largest);                                     \
        const VECTOR inverse = V##_set1((NUMBER)row->inverse);                                     \
        const VECTOR factor = V##_set1((NUMBER)row->factor);                                       \
        VECTOR sum = V##_set1(0);                                                                  \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            const VECTOR exponential = V##_exp(V##_sub(V##_load(scores + i), largest));            \
            const VECTOR weight = V##_mul(exponential, inverse);                                   \
            const VECTOR gradient =                                                                \
                V##_keep(V##_mul(V##_load(gradients + i), factor), kept_##GROUP(kept, at + i));    \
            sum = V##_add(sum, V##_mul(weight, gradient));                                         \
            V##_store(scores + i, weight);                                                         \
            V##_store(gradients + i, gradient);                                                    \
        }                                                                                          \
        V##_store(place, sum);                                                                     \
        row->delta = fold_##TYPE(place);                                                           \
    }                                                                                              \
    static void softmax_backward_##TYPE(void *numbers, void *gradient_numbers, size_t n,           \
                                        const uint8_t *kept, size_t at, const fd_softmax *row)     \
    {                                                                                              \
        NUMBER *weights = (NUMBER *)numbers, *gradients = (NUMBER *)gradient_numbers;              \
        const VECTOR factor = V##_set1((NUMBER)row->factor);                                       \
        const VECTOR delta = V##_set1((NUMBER)row->delta), scale = V##_set1((NUMBER)row->scale);   \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            const VECTOR weight = V##_load(weights + i);                                           \
            const VECTOR rest = V##_sub(V##_load(gradients + i), delta);                           \
            V##_store(gradients + i, V##_mul(V##_mul(weight, rest), scale));                       \
            V##_store(weights + i, V##_keep(V##_mul(weight, factor), kept_##GROUP(kept, at + i))); \
        }                                                                                          \
    }

FD_DEFINE_SOFTMAX(float32, float, f32, v_f32, 16)
FD_DEFINE_SOFTMAX(float64, double, f64, v_f64, 8)

#endif
