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

#include "../exp.h"

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
        VECTOR most = V##_set1((NUMBER)row->largest), sum = V##_set1(0), shift;                    \
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
            V##_store(scores + i, V##_keep(weight, fd_kept_##GROUP(kept, at + i)));                \
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
                V##_keep(V##_mul(V##_load(gradients + i), factor), fd_kept_##GROUP(kept, at + i)); \
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
            V##_store(weights + i,                                                                 \
                      V##_keep(V##_mul(weight, factor), fd_kept_##GROUP(kept, at + i)));           \
        }                                                                                          \
    }

FD_DEFINE_SOFTMAX(float32, float, f32, v_f32, 16)
FD_DEFINE_SOFTMAX(float64, double, f64, v_f64, 8)

#endif
