/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The operations of kernels.h, for every dtype. Select, never multiply by a 0/1 mask: a dropped
 * NaN or infinity is 0 too. Sums and products are rounded one by one, as NumPy's are; the
 * half-width types are computed in float32 and rounded once, at the end.
 *
 * Each dtype is written once, for groups of 64 bytes. A last part of a group goes through buffers: it
 * is made a whole group, and the function is called once more. The operation and where to store are
 * constants by the time of compilation.
 */
#ifndef FD_APPLY_H
#define FD_APPLY_H

#include "../kernels.h"
#include "half_width.h"

FD_INLINE uint32_t
bits_load32(const uint8_t *kept)
{
    return (uint32_t)kept[0] | (uint32_t)kept[1] << 8 | (uint32_t)kept[2] << 16 |
           (uint32_t)kept[3] << 24;
}

FD_INLINE void
bits_store32(uint8_t *kept, uint32_t bits)
{
    for (int i = 0; i < 4; i++) {
        kept[i] = (uint8_t)(bits >> 8 * i);
    }
}

FD_INLINE uint16_t
bits_load16(const uint8_t *kept)
{
    return (uint16_t)(kept[0] | kept[1] << 8);
}

FD_INLINE void
bits_store16(uint8_t *kept, uint16_t bits)
{
    kept[0] = (uint8_t)bits;
    kept[1] = (uint8_t)(bits >> 8);
}

FD_INLINE uint8_t
bits_load8(const uint8_t *kept)
{
    return kept[0];
}

FD_INLINE void
bits_store8(uint8_t *kept, uint8_t bits)
{
    kept[0] = bits;
}

/* Elements of float32 and float64 are the numbers that they are computed in. */
#define f32_numbers f32_load
#define f32_factors f32_load
#define f32_narrow(a) (a)
#define f32_add_kept(other, number, bits) f32_add(f32_load(other), f32_keep(number, bits))
#define f64_numbers f64_load
#define f64_factors f64_load
#define f64_narrow(a) (a)
#define f64_add_kept(other, number, bits) f64_add(f64_load(other), f64_keep(number, bits))

/* V is the prefix of vectors of GROUP elements, N that of the vectors of type NUMBER that they are
 * computed in. */
#define FD_DEFINE_APPLY(DTYPE, ELEMENT, NUMBER, V, N, GROUP)                                       \
    FD_INLINE void DTYPE##_group(uint8_t *kept, const ELEMENT *x, const fd_operands *operands,     \
                                 v_##V dropped, const ELEMENT *other, const ELEMENT *bias,         \
                                 const NUMBER *factors, ELEMENT *y, const fd_operation operation,  \
                                 const int past_caches)                                            \
    {                                                                                              \
        uint##GROUP##_t bits = bits_load##GROUP(kept);                                             \
        v_##V result;                                                                              \
        if (operation == FD_RELU) {                                                                \
            bits &= V##_not_below(V##_load(x));                                                    \
            bits_store##GROUP(kept, bits);                                                         \
        }                                                                                          \
        if (operation == FD_SELECT) {                                                              \
            result = V##_select(V##_load(x), V##_load(other), bits);                               \
        } else {                                                                                   \
            v_##N number = V##_numbers(x);                                                         \
            if (operation == FD_ADD_BIAS) {                                                        \
                number = N##_add(number, V##_numbers(bias));                                       \
            }                                                                                      \
            number =                                                                               \
                N##_mul(number, operation == FD_SCALE_EACH ? V##_factors(factors)                  \
                                                           : N##_set1((NUMBER)operands->scale));   \
            if (operation == FD_AFFINE) {                                                          \
                number = N##_add(number, N##_set1((NUMBER)operands->shift));                       \
                result = V##_select(V##_narrow(number), dropped, bits);                            \
            } else if (operation == FD_ADD || operation == FD_ADD_BIAS) {                          \
                result = V##_add_kept(other, number, bits);                                        \
            } else {                                                                               \
                result = V##_keep(V##_narrow(number), bits);                                       \
            }                                                                                      \
        }                                                                                          \
        if (past_caches) {                                                                         \
            V##_store_past(y, result);                                                             \
        } else {                                                                                   \
            V##_store(y, result);                                                                  \
        }                                                                                          \
    }                                                                                              \
    FD_INLINE void DTYPE##_loop(uint8_t *kept, const ELEMENT *x, const fd_operands *operands,      \
                                size_t n, ELEMENT *y, const fd_operation operation,                \
                                const int past_caches, fd_apply_kernel apply)                      \
    {                                                                                              \
        const fd_operands fixed = *operands; /* y cannot alias it */                               \
        const v_##V dropped = V##_narrow(N##_set1((NUMBER)fixed.dropped));                         \
        const int has_other =                                                                      \
            operation == FD_ADD || operation == FD_ADD_BIAS || operation == FD_SELECT;             \
        const int has_bias = operation == FD_ADD_BIAS, has_factors = operation == FD_SCALE_EACH;   \
        const ELEMENT *other = has_other ? (const ELEMENT *)fixed.other : x;                       \
        const ELEMENT *bias = has_bias ? (const ELEMENT *)fixed.bias : x;                          \
        const NUMBER *factors = (const NUMBER *)fixed.factors;                                     \
        size_t i = 0;                                                                              \
        for (; i + GROUP <= n; i += GROUP) {                                                       \
            DTYPE##_group(kept + i / 8, x + i, &fixed, dropped, other + i, bias + i,               \
                          has_factors ? factors + i : NULL, y + i, operation, past_caches);        \
        }                                                                                          \
        if (i < n) {                                                                               \
            const size_t size = (n - i) * sizeof(ELEMENT);                                         \
            ELEMENT rest[GROUP] = {0}, rest_other[GROUP] = {0}, rest_bias[GROUP] = {0};            \
            NUMBER rest_factors[GROUP] = {0};                                                      \
            uint8_t rest_kept[(GROUP + 7) / 8] = {0};                                              \
            fd_operands whole = fixed;                                                             \
            memcpy(rest_kept, kept + i / 8, (n - i + 7) / 8);                                      \
            memcpy(rest, x + i, size);                                                             \
            if (has_other) {                                                                       \
                memcpy(rest_other, other + i, size);                                               \
                whole.other = rest_other;                                                          \
            }                                                                                      \
            if (has_bias) {                                                                        \
                memcpy(rest_bias, bias + i, size);                                                 \
                whole.bias = rest_bias;                                                            \
            }                                                                                      \
            if (has_factors) {                                                                     \
                memcpy(rest_factors, factors + i, (n - i) * sizeof(NUMBER));                       \
                whole.factors = rest_factors;                                                      \
            }                                                                                      \
            apply(rest_kept, rest, &whole, GROUP, rest);                                           \
            memcpy(y + i, rest, size);                                                             \
            if (operation == FD_RELU) {                                                            \
                memcpy(kept + i / 8, rest_kept, (n - i + 7) / 8);                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, scale, FD_SCALE)                                           \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, scale_each, FD_SCALE_EACH)                                 \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, affine, FD_AFFINE)                                         \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, add, FD_ADD)                                               \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, add_bias, FD_ADD_BIAS)                                     \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, select, FD_SELECT)                                         \
    FD_DEFINE_OPERATION(DTYPE, ELEMENT, relu, FD_RELU)

#define FD_DEFINE_OPERATION(DTYPE, ELEMENT, NAME, OPERATION)                                       \
    FD_APART void DTYPE##_##NAME(uint8_t *kept, const void *x, const fd_operands *operands,        \
                                 size_t n, void *y)                                                \
    {                                                                                              \
        DTYPE##_loop(kept, (const ELEMENT *)x, operands, n, (ELEMENT *)y, OPERATION, 0,            \
                     DTYPE##_##NAME);                                                              \
    }                                                                                              \
    static void DTYPE##_##NAME##_past_caches(uint8_t *kept, const void *x,                         \
                                             const fd_operands *operands, size_t n, void *y)       \
    {                                                                                              \
        DTYPE##_loop(kept, (const ELEMENT *)x, operands, n, (ELEMENT *)y, OPERATION, 1,            \
                     DTYPE##_##NAME);                                                              \
    }

FD_DEFINE_APPLY(float16, uint16_t, float, f16, f32x2, 32)
FD_DEFINE_APPLY(bfloat16, uint16_t, float, bf16, f32x2, 32)
FD_DEFINE_APPLY(float32, float, float, f32, f32, 16)
FD_DEFINE_APPLY(float64, double, double, f64, f64, 8)

/* The entries of the table, for one operation. */
#define FD_ALL_DTYPES(NAME)                                                                        \
    {[FD_FLOAT16] = float16_##NAME,                                                                \
     [FD_BFLOAT16] = bfloat16_##NAME,                                                              \
     [FD_FLOAT32] = float32_##NAME,                                                                \
     [FD_FLOAT64] = float64_##NAME}
#define FD_ALL_OPERATIONS(SUFFIX)                                                                  \
    {[FD_SCALE] = FD_ALL_DTYPES(scale##SUFFIX),                                                    \
     [FD_AFFINE] = FD_ALL_DTYPES(affine##SUFFIX),                                                  \
     [FD_SCALE_EACH] = FD_ALL_DTYPES(scale_each##SUFFIX),                                          \
     [FD_ADD] = FD_ALL_DTYPES(add##SUFFIX),                                                        \
     [FD_ADD_BIAS] = FD_ALL_DTYPES(add_bias##SUFFIX),                                              \
     [FD_SELECT] = FD_ALL_DTYPES(select##SUFFIX),                                                  \
     [FD_RELU] = FD_ALL_DTYPES(relu##SUFFIX),                                                      \
     [FD_RELU_BIAS] = FD_ALL_DTYPES(relu_bias),                                                    \
     [FD_GELU] = FD_ALL_DTYPES(gelu),                                                              \
     [FD_GELU_TANH] = FD_ALL_DTYPES(gelu_tanh),                                                    \
     [FD_SILU] = FD_ALL_DTYPES(silu),                                                              \
     [FD_GELU_BACKWARD] = FD_ALL_DTYPES(gelu_backward),                                            \
     [FD_GELU_TANH_BACKWARD] = FD_ALL_DTYPES(gelu_tanh_backward),                                  \
     [FD_SILU_BACKWARD] = FD_ALL_DTYPES(silu_backward)}

#endif
