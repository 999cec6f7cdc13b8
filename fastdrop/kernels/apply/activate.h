/* SPDX-License-Identifier: BSD-3-Clause
 *
 * gelu and silu with dropout, and their derivatives: elements are computed in float32, or float64
 * where they are that, and rounded once.
 *
 * All three are z times the share of a distribution below z: of the normal one (gelu), or of the
 * logistic one (silu, and the approximation of gelu that has a tanh). With a = |z|, the share below
 * -a is e^(-a a / 2) times a smooth function of t = 1 / (1 + a / 4), which is t times a polynomial
 * in t; or e^-a / (1 + e^-a). So what is far from 0 is as exact as what is near. Only sums, products
 * and quotients, each rounded: every table gives the same floats.
 */
#ifndef FD_ACTIVATE_H
#define FD_ACTIVATE_H

#include "../exp.h"
#include "apply.h"
#include "parts.h"

typedef enum { FD_OF_GELU, FD_OF_GELU_TANH, FD_OF_SILU, FD_OF_RELU } fd_activation;

/* Interpolations of our own, made by tools/make_gelu_table.py: the factors of t^0, t^1, ... */
static const float gelu_f32[] = {0.09975179f,   0.09941662f,    0.09615087f,  0.069011636f,
                                 0.09537557f,   -0.0036779593f, 0.048318084f, 0.036615256f,
                                 -0.056345463f, 0.015383603f};
static const double gelu_f64[] = {
    0.09973557010387663,   0.09973556983946887,  0.09350210585723466,   0.0810349656839141,
    0.06350614776899742,   0.04321725613067316,  0.023616019479006024,  0.005864963379556649,
    0.0032696963836554745, -0.03072241832130962, 0.0680096565489385,    -0.17592946165709222,
    0.3317856140129587,    -0.4670310516161868,  0.4778805031969773,    -0.27548256352588485,
    -0.04922290379091282,  0.2670277219048097,   -0.26991779697144513,  0.1544424516474848,
    -0.054406282913560956, 0.011096471880184597, -0.0010122350213441524};

/* The shares below and above z; for gelu, `density` is that of the distribution at z too. */
#define FD_DEFINE_SHARES(V, VECTOR, NUMBER, BITS, DEGREE)                                          \
    typedef struct {                                                                               \
        VECTOR below, above, density;                                                              \
    } V##_shares;                                                                                  \
    FD_INLINE VECTOR V##_magnitude(VECTOR z)                                                       \
    {                                                                                              \
        return V##_max(z, V##_sub(V##_set1(0), z));                                                \
    }                                                                                              \
    FD_LONG V##_shares V##_logistic(VECTOR z)                                                      \
    {                                                                                              \
        const VECTOR one = V##_set1(1);                                                            \
        const VECTOR power = V##_exp(V##_sub(V##_set1(0), V##_magnitude(z)));                      \
        const VECTOR near = V##_div(one, V##_add(one, power)), far = V##_mul(power, near);         \
        const BITS right = V##_not_below(z);                                                       \
        const V##_shares shares = {V##_select(near, far, right), V##_select(far, near, right),     \
                                   V##_mul(near, far)};                                            \
        return shares;                                                                             \
    }                                                                                              \
    FD_LONG V##_shares V##_normal(VECTOR z)                                                        \
    {                                                                                              \
        const VECTOR a = V##_magnitude(z), one = V##_set1(1);                                      \
        const VECTOR half = V##_mul(V##_mul(a, a), V##_set1((NUMBER) - 0.5));                      \
        const VECTOR power = V##_exp(half);                                                        \
        const VECTOR t = V##_div(one, V##_add(one, V##_mul(a, V##_set1((NUMBER)0.25))));           \
        VECTOR far = V##_set1(gelu_##V[DEGREE]);                                                   \
        for (int k = DEGREE - 1; k >= 0; k--) {                                                    \
            far = V##_add(V##_mul(far, t), V##_set1(gelu_##V[k]));                                 \
        }                                                                                          \
        far = V##_mul(V##_mul(far, t), power);                                                     \
        const VECTOR near = V##_sub(one, far);                                                     \
        const BITS right = V##_not_below(z);                                                       \
        const V##_shares shares = {V##_select(near, far, right), V##_select(far, near, right),     \
                                   V##_mul(power, V##_set1((NUMBER)0.3989422804014327))};          \
        return shares;                                                                             \
    }                                                                                              \
    /* 2 sqrt(2 / pi) (z + 0.044715 z^3), and its derivative. */                                   \
    FD_INLINE VECTOR V##_bent(VECTOR z, VECTOR *slope)                                             \
    {                                                                                              \
        const VECTOR square = V##_mul(z, z);                                                       \
        *slope = V##_add(V##_mul(square, V##_set1((NUMBER)0.21406444881780073)),                   \
                         V##_set1((NUMBER)1.5957691216057308));                                    \
        return V##_mul(z, V##_add(V##_mul(square, V##_set1((NUMBER)0.07135481627260025)),          \
                                  V##_set1((NUMBER)1.5957691216057308)));                          \
    }                                                                                              \
    FD_LONG VECTOR V##_activated(VECTOR z, const fd_activation activation)                         \
    {                                                                                              \
        VECTOR slope;                                                                              \
        if (activation == FD_OF_GELU) {                                                            \
            return V##_mul(z, V##_normal(z).below);                                                \
        }                                                                                          \
        return V##_mul(                                                                            \
            z, V##_logistic(activation == FD_OF_GELU_TANH ? V##_bent(z, &slope) : z).below);       \
    }                                                                                              \
    FD_LONG VECTOR V##_derivative(VECTOR z, const fd_activation activation)                        \
    {                                                                                              \
        VECTOR slope = V##_set1(1);                                                                \
        V##_shares shares;                                                                         \
        if (activation == FD_OF_GELU) {                                                            \
            shares = V##_normal(z);                                                                \
        } else if (activation == FD_OF_GELU_TANH) {                                                \
            shares = V##_logistic(V##_bent(z, &slope));                                            \
            shares.density = V##_mul(shares.density, slope);                                       \
        } else {                                                                                   \
            shares = V##_logistic(z);                                                              \
        }                                                                                          \
        return V##_add(shares.below, V##_mul(z, shares.density));                                  \
    }

FD_DEFINE_SHARES(f32, v_f32, float, uint16_t, 9)
FD_DEFINE_SHARES(f64, v_f64, double, uint8_t, 22)

/* The bits of a group, of which n elements are left: no byte behind theirs is touched. */
FD_INLINE uint16_t
part_bits_16(const uint8_t *kept, size_t n)
{
    return n > 8 ? bits_load16(kept) : kept[0];
}

FD_INLINE void
part_keep_16(uint8_t *kept, uint16_t bits, size_t n)
{
    if (n > 8) {
        bits_store16(kept, bits);
    } else {
        kept[0] = (uint8_t)bits;
    }
}

#define part_bits_8(kept, n) bits_load8(kept)
#define part_keep_8(kept, bits, n) bits_store8(kept, bits)

#define FD_DEFINE_ACTIVATE(DTYPE, ELEMENT, NUMBER, V, VECTOR, GROUP)                               \
    FD_INLINE void DTYPE##_activate(uint8_t *kept, const void *x, const fd_operands *operands,     \
                                    size_t n, void *y, const fd_activation activation,             \
                                    const int backward)                                            \
    {                                                                                              \
        const fd_operands fixed = *operands; /* y cannot alias it */                               \
        const VECTOR factor = V##_set1((NUMBER)fixed.scale);                                       \
        for (size_t i = 0; i < n; i += GROUP) {                                                    \
            uint##GROUP##_t bits = part_bits_##GROUP(kept + i / 8, n - i);                         \
            VECTOR z = DTYPE##_load_part((const ELEMENT *)x + i, n - i), number;                   \
            if (fixed.bias != NULL) {                                                              \
                z = V##_add(z, DTYPE##_load_part((const ELEMENT *)fixed.bias + i, n - i));         \
            }                                                                                      \
            if (backward) {                                                                        \
                number = DTYPE##_load_part((const ELEMENT *)fixed.other + i, n - i);               \
                number = V##_mul(V##_mul(number, factor), V##_derivative(z, activation));          \
            } else if (activation == FD_OF_RELU) {                                                 \
                bits &= V##_not_below(z);                                                          \
                part_keep_##GROUP(kept + i / 8, bits, n - i);                                      \
                number = V##_mul(z, factor);                                                       \
            } else {                                                                               \
                number = V##_mul(V##_activated(z, activation), factor);                            \
            }                                                                                      \
            DTYPE##_store_part((ELEMENT *)y + i, V##_keep(number, bits), n - i);                   \
        }                                                                                          \
    }                                                                                              \
    FD_DEFINE_ACTIVATION(DTYPE, gelu, FD_OF_GELU, 0)                                               \
    FD_DEFINE_ACTIVATION(DTYPE, gelu_tanh, FD_OF_GELU_TANH, 0)                                     \
    FD_DEFINE_ACTIVATION(DTYPE, silu, FD_OF_SILU, 0)                                               \
    FD_DEFINE_ACTIVATION(DTYPE, relu_bias, FD_OF_RELU, 0)                                          \
    FD_DEFINE_ACTIVATION(DTYPE, gelu_backward, FD_OF_GELU, 1)                                      \
    FD_DEFINE_ACTIVATION(DTYPE, gelu_tanh_backward, FD_OF_GELU_TANH, 1)                            \
    FD_DEFINE_ACTIVATION(DTYPE, silu_backward, FD_OF_SILU, 1)

#define FD_DEFINE_ACTIVATION(DTYPE, NAME, ACTIVATION, BACKWARD)                                    \
    static void DTYPE##_##NAME(uint8_t *kept, const void *x, const fd_operands *operands,          \
                               size_t n, void *y)                                                  \
    {                                                                                              \
        DTYPE##_activate(kept, x, operands, n, y, ACTIVATION, BACKWARD);                           \
    }

FD_DEFINE_ACTIVATE(float16, uint16_t, float, f32, v_f32, 16)
FD_DEFINE_ACTIVATE(bfloat16, uint16_t, float, f32, v_f32, 16)
FD_DEFINE_ACTIVATE(float32, float, float, f32, v_f32, 16)
FD_DEFINE_ACTIVATE(float64, double, double, f64, v_f64, 8)

#endif
