/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sums, maxima and powers of two, in plain C: the definition of those of the other
 * instruction sets.
 */
#ifndef FD_ARITHMETIC_H
#define FD_ARITHMETIC_H

#include "scalar.h"

FD_INLINE v_f32
f32_add(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] + b.element[i]);
}

FD_INLINE v_f32
f32_sub(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] - b.element[i]);
}

/* The greater; b where one of the two is NaN. */
FD_INLINE v_f32
f32_max(v_f32 a, v_f32 b)
{
    FD_EACH_FLOAT(a.element[i] > b.element[i] ? a.element[i] : b.element[i]);
}

/* 2^n, where the low bits of a number are n, from -126 to 127; 0 for -127. */
FD_INLINE v_f32
f32_power(v_f32 a)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.element[i], sizeof bits);
        bits = (bits + 127) << 23;
        memcpy(&a.element[i], &bits, sizeof bits);
    }
    return a;
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
f64_max(v_f64 a, v_f64 b)
{
    FD_EACH_DOUBLE(a.element[i] > b.element[i] ? a.element[i] : b.element[i]);
}

/* Likewise, from -1022 to 1023; 0 for -1023. */
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

#endif
