/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operations of scalar.h on eight doubles.
 */
#ifndef FD_SIMD_SCALAR_DOUBLES_H
#define FD_SIMD_SCALAR_DOUBLES_H

#define FD_EACH_DOUBLE(EXPRESSION) FD_EACH_ELEMENT(v_f64, 8, EXPRESSION)

FD_INLINE v_f64
f64_set1(double x)
{
    FD_EACH_DOUBLE(x);
}

FD_INLINE v_f64
f64_load(const double *from)
{
    FD_EACH_DOUBLE(from[i]);
}

FD_INLINE v_f64
f64_load_f32(const float *from)
{
    FD_EACH_DOUBLE(from[i]);
}

FD_INLINE v_f64
f64_mul(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] * b.element[i]);
}

FD_INLINE v_f64
f64_add(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] + b.element[i]);
}

FD_INLINE v_f64
f64_sub(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] - b.element[i]);
}

FD_INLINE v_f64
f64_div(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] / b.element[i]);
}

FD_INLINE v_f64
f64_max(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] > b.element[i] ? a.element[i] : b.element[i]);
}

/* 2^n, where the low bits of a number are n, from -1022 to 1023; 0 for -1023. */
FD_INLINE v_f64
f64_power(v_f64 a)
{
    for (int i = 0; i < 8; i++) {
        uint64_t bits;
        memcpy(&bits, &a.element[i], sizeof bits);
        bits = (bits + 1023) << 52;
        memcpy(&a.element[i], &bits, sizeof bits);
    }
    return a;
}

FD_INLINE v_f64
f64_select(v_f64 a, v_f64 b, uint8_t bits)
{
    FD_EACH_DOUBLE(bits >> i & 1 ? a.element[i] : b.element[i]);
}

FD_INLINE uint8_t
f64_not_below(v_f64 a)
{
    uint8_t bits = 0;
    for (int i = 0; i < 8; i++) {
        bits |= (uint8_t)(!(a.element[i] <= 0.0) << i);
    }
    return bits;
}

FD_INLINE v_f64
f64_keep(v_f64 a, uint8_t bits)
{
    FD_EACH_DOUBLE(bits >> i & 1 ? a.element[i] : 0.0);
}

FD_INLINE void
f64_store(double *to, v_f64 v)
{
    memcpy(to, v.element, sizeof v.element);
}

/* Rounded. */
FD_INLINE void
f64_store_f32(float *to, v_f64 v)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (float)v.element[i];
    }
}

/* Cut off to whole numbers, and at 255; from 0 to 2^31 - 1. */
FD_INLINE void
f64_store_bytes(uint8_t *to, v_f64 v)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(v.element[i] < 255.0 ? v.element[i] : 255.0);
    }
}

/* Past the caches, where there is such a store; `to` is aligned to the size of the whole. */
#define f64_store_past f64_store

#endif
