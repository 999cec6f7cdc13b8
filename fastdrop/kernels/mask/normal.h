/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Words to factors of mean 1: 1 + deviation * z, with z = the inverse of the normal distribution at
 * the word, so one 32-bit word an element, and each element by itself.
 *
 * A word is a sign and, with its lowest bit set, an odd number t below 2^31: t / 2^32 is the
 * probability beyond |z|. With x = 2^31 - t, 2^31 times the probability within,
 *
 *     |z| = x * ratio(w),  w = -log(1 - (x / 2^31)^2) = -log(t * (2^31 + x) / 2^62)
 *
 * where ratio is smooth (M. Giles, "Approximating the erfinv function", GPU Computing Gems Jade
 * Edition, 2011): a polynomial in w up to w = 6; beyond, once in 800 elements, one in sqrt(w). They
 * are minimax fits of our own. z is right to 3e-6; the largest |z| is 6.2303.
 *
 * Only sums, products and roots, each rounded to float32: every table gives the same floats.
 */
#ifndef FD_NORMAL_H
#define FD_NORMAL_H

#include "../kernels.h"

/* c[0] + c[1] x + ... for 6 or 8 coefficients, by pairs (Estrin's scheme): a short chain of sums
 * that wait for each other. */
FD_INLINE v_f32
polynomial(const float *c, const int count, v_f32 x)
{
    const v_f32 x2 = f32_mul(x, x), x4 = f32_mul(x2, x2);
    v_f32 pair[4];
    for (int i = 0; i < count / 2; i++) {
        pair[i] = f32_add(f32_mul(x, f32_set1(c[2 * i + 1])), f32_set1(c[2 * i]));
    }
    const v_f32 low = f32_add(f32_mul(pair[1], x2), pair[0]);
    const v_f32 high = count == 8 ? f32_add(f32_mul(pair[3], x2), pair[2]) : pair[2];
    return f32_add(f32_mul(high, x4), low);
}

/* log(x / 2^62): e log 2 + log(1 + f) with x / 2^62 = 2^e (1 + f), f in [-.293, .414]. */
FD_INLINE v_f32
log_of_62_bits(v_f32 x)
{
    static const float ratio[6] = {1.0000128f,  -0.49985048f, 0.33225885f,
                                   -0.2547254f, 0.22329934f,  -0.14319329f};
    const v_u64 root_half = v_set1_32(0x3F3504F3);
    const v_u64 bits = v_sub32(f32_bits(x), v_set1_32(62u << 23));
    const v_u64 exponent = v_sra32(v_sub32(bits, root_half), 23);
    const v_f32 mantissa = f32_from_bits(v_sub32(bits, v_shl32(exponent, 23)));
    const v_f32 f = f32_sub(mantissa, f32_set1(1.0f));
    return f32_add(f32_mul(f32_from_i32(exponent), f32_set1(0.6931472f)),
                   f32_mul(f, polynomial(ratio, 6, f)));
}

FD_INLINE v_f32
normal_of_words(v_u64 words)
{
    /* Both times 2^-31, in w - 3 and in sqrt(w) - 3.5. */
    static const float centre[8] = {1.0691749e-09f,  1.5912519e-10f, -3.7797153e-12f,
                                    -5.5190005e-13f, 1.2905046e-13f, -7.872503e-15f,
                                    -1.2957641e-15f, 2.2177385e-16f};
    static const float tail[8] = {2.1965654e-09f, 6.63396e-10f,    2.1685193e-12f, -1.345901e-12f,
                                  6.7059905e-13f, -4.8007204e-13f, 3.6453582e-13f, -1.2504952e-13f};
    const v_u64 odd = v_or(v_and(words, v_set1_32(0x7FFFFFFF)), v_set1_32(1));
    const v_f32 t = f32_from_i32(odd), x = f32_sub(f32_set1(2147483648.0f), t);
    const v_f32 log = log_of_62_bits(f32_mul(t, f32_add(f32_set1(2147483648.0f), x))); /* -w */
    v_f32 ratio = polynomial(centre, 8, f32_sub(f32_set1(-3.0f), log));
    const uint16_t far = f32_less(log, f32_set1(-6.0f));
    if (far) {
        const v_f32 root = f32_sqrt(f32_sub(f32_set1(0.0f), log));
        ratio = f32_select(polynomial(tail, 8, f32_sub(root, f32_set1(3.5f))), ratio, far);
    }
    const v_u64 sign = v_and(words, v_set1_32(0x80000000));
    return f32_from_bits(v_or(f32_bits(f32_mul(x, ratio)), sign));
}

static void
normal_factors(const uint8_t *FD_RESTRICT bytes, size_t n, float deviation,
               float *FD_RESTRICT factors)
{
    for (size_t i = 0; i < n; i += 16) {
        const v_f32 z = normal_of_words(v_load_bytes(bytes + 4 * i));
        f32_store(factors + i, f32_add(f32_set1(1.0f), f32_mul(f32_set1(deviation), z)));
    }
}

#endif
