/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Decisions and factors of elements that have a probability each. As with one probability, a byte
 * decides but for ties: here it is compared with a byte of the element's own, its head.
 *
 * For p the head is floor(256 p), at most 255. The threshold p * 2^64 lies in [head, head + 1]
 * times 2^56, both ends included: greater bytes are kept and smaller ones dropped. For keep_prob k,
 * whose threshold is (1 - k) * 2^64, it is 255 less floor(256 k).
 */
#ifndef FD_EACH_H
#define FD_EACH_H

#include "digits.h"

FD_INLINE unsigned
copy_eight(const double *from, double *to)
{
    const v_f64 values = f64_load(from);
    f64_store(to, values);
    return f64_not_below(f64_sub(values, f64_set1(1.0))) | /* more than 1, or NaN */
           f64_not_below(f64_sub(f64_set1(0.0), values));  /* less than 0 */
}

static int
copy_probabilities(const double *FD_RESTRICT from, size_t n, double *FD_RESTRICT to)
{
    unsigned wrong = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        wrong |= copy_eight(from + i, to + i);
    }
    if (i < n) {
        double rest[8] = {0};
        memcpy(rest, from + i, (n - i) * sizeof(double));
        wrong |= copy_eight(rest, rest);
        memcpy(to + i, rest, (n - i) * sizeof(double));
    }
    return !wrong;
}

FD_INLINE void
heads_of_eight(const double *values, uint8_t *heads)
{
    f64_store_bytes(heads, f64_mul(f64_load(values), f64_set1(256.0)));
}

static void
heads_of_values(const double *FD_RESTRICT values, size_t n, fd_meaning meaning,
                uint8_t *FD_RESTRICT heads)
{
    const uint8_t flipped = meaning == FD_KEEP_PROB ? 0xFF : 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        heads_of_eight(values + i, heads + i);
    }
    if (i < n) {
        double rest[8] = {0};
        uint8_t rest_heads[8];
        memcpy(rest, values + i, (n - i) * sizeof(double));
        heads_of_eight(rest, rest_heads);
        memcpy(heads + i, rest_heads, n - i);
    }
    for (i = 0; flipped && i < n; i++) {
        heads[i] ^= flipped;
    }
}

static void
compare_bytes(const uint8_t *FD_RESTRICT bytes, const uint8_t *FD_RESTRICT heads, size_t n,
              uint8_t *FD_RESTRICT kept, uint8_t *FD_RESTRICT equal)
{
    for (size_t i = 0; i < n; i += 64) {
        const v_u64 group = v_load_bytes(bytes + i), own = v_load_bytes(heads + i);
        const uint64_t valid = fd_low_bits(n - i);
        fd_store_le64(kept + i / 8, v_bytes_ge(group, own) & valid);
        fd_store_le64(equal + i / 8, v_bytes_eq(group, own) & valid);
    }
}

static void
digits_of_ties(const fd_identity *ties, uint64_t position, const uint16_t *FD_RESTRICT index,
               size_t n, uint64_t *FD_RESTRICT digits)
{
    const philox_keys keys = philox_schedule(ties->key);
    uint64_t counter[2] = {ties->counter[0], ties->counter[1]};
    fd_counter_add(counter, position);
    for (size_t i = 0; i < n; i += 8) {
        v_store_words(digits + i, digits_at(&keys, counter, index + i));
    }
}

FD_INLINE v_f64
factors_of_eight(const double *values, const fd_meaning meaning)
{
    const v_f64 one = f64_set1(1.0), own = f64_load(values);
    if (meaning == FD_FACTOR) {
        return own;
    }
    const v_f64 keep = meaning == FD_P ? f64_sub(one, own) : own;
    const v_f64 factors = f64_div(one, keep);
    const uint8_t ever = f64_not_below(keep); /* above 0 */
    return ever == 0xFF ? factors : f64_select(factors, one, ever);
}

/* `meaning` is a constant where this is inlined. */
#define FD_DEFINE_FACTORS(DTYPE, NUMBER, STORE)                                                    \
    FD_INLINE void DTYPE##_factors_loop(const double *values, size_t n, const fd_meaning meaning,  \
                                        NUMBER *factors)                                           \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 8 <= n; i += 8) {                                                               \
            STORE(factors + i, factors_of_eight(values + i, meaning));                             \
        }                                                                                          \
        if (i < n) {                                                                               \
            double rest[8] = {0};                                                                  \
            NUMBER rest_factors[8];                                                                \
            memcpy(rest, values + i, (n - i) * sizeof(double));                                    \
            STORE(rest_factors, factors_of_eight(rest, meaning));                                  \
            memcpy(factors + i, rest_factors, (n - i) * sizeof(NUMBER));                           \
        }                                                                                          \
    }                                                                                              \
    static void factors_##DTYPE(const double *values, size_t n, fd_meaning meaning, void *factors) \
    {                                                                                              \
        if (meaning == FD_P) {                                                                     \
            DTYPE##_factors_loop(values, n, FD_P, (NUMBER *)factors);                              \
        } else if (meaning == FD_KEEP_PROB) {                                                      \
            DTYPE##_factors_loop(values, n, FD_KEEP_PROB, (NUMBER *)factors);                      \
        } else {                                                                                   \
            DTYPE##_factors_loop(values, n, FD_FACTOR, (NUMBER *)factors);                         \
        }                                                                                          \
    }

FD_DEFINE_FACTORS(float32, float, f64_store_f32)
FD_DEFINE_FACTORS(float64, double, f64_store)

#endif
