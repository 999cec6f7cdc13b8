/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC11. Eight blocks at a time, each 32-bit word in a 64-bit lane of its own, so that one
 * 32 x 32 -> 64 multiplication gives both halves of a product.
 */
#ifndef FD_PHILOX4X32_H
#define FD_PHILOX4X32_H

#include "sink.h"

enum { FD_PHILOX_ROUNDS = 10 };

/* The 8 keys of each round, broadcast. */
typedef struct {
    v_u64 k0[FD_PHILOX_ROUNDS], k1[FD_PHILOX_ROUNDS];
} philox_keys;

FD_INLINE philox_keys
philox_schedule(const uint32_t key[2])
{
    philox_keys keys;
    for (int round = 0; round < FD_PHILOX_ROUNDS; round++) {
        keys.k0[round] = v_set1((uint32_t)(key[0] + (uint32_t)round * 0x9E3779B9u));
        keys.k1[round] = v_set1((uint32_t)(key[1] + (uint32_t)round * 0xBB67AE85u));
    }
    return keys;
}

/* Lane l holds the counter (low[l], high[l]); its block comes out as the 64-bit words
 * (*first)[l] and (*second)[l]. Upper halves carry rubbish between rounds: the multiplication
 * ignores them and v_join32 drops them. */
FD_INLINE void
philox_batch(const philox_keys *keys, v_u64 low, v_u64 high, v_u64 *first, v_u64 *second)
{
    const v_u64 m0 = v_set1(0xD2511F53u), m1 = v_set1(0xCD9E8D57u);
    v_u64 c0 = low, c1 = v_shr64(low, 32), c2 = high, c3 = v_shr64(high, 32);
    for (int round = 0; round < FD_PHILOX_ROUNDS; round++) {
        v_u64 product0 = v_mul32(c0, m0), product1 = v_mul32(c2, m1);
        c0 = v_xor3(v_shr64(product1, 32), c1, keys->k0[round]);
        c2 = v_xor3(v_shr64(product0, 32), c3, keys->k1[round]);
        c1 = product1;
        c3 = product0;
    }
    *first = v_join32(c0, c1);
    *second = v_join32(c2, c3);
}

/* Blocks counter + 0 .. counter + 7 in the order that v_zip_even and v_zip_odd undo. */
FD_INLINE void
philox_consecutive(const philox_keys *keys, const uint64_t counter[2], v_u64 *first, v_u64 *second)
{
    static const FD_ALIGN64 uint64_t order[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    if (counter[0] <= UINT64_MAX - 7) {
        v_u64 low = v_add64(v_set1(counter[0]), v_load_words(order));
        philox_batch(keys, low, v_set1(counter[1]), first, second);
    } else {
        FD_ALIGN64 uint64_t low[8], high[8];
        for (int lane = 0; lane < 8; lane++) {
            low[lane] = counter[0] + order[lane];
            high[lane] = counter[1] + (low[lane] < order[lane]);
        }
        philox_batch(keys, v_load_words(low), v_load_words(high), first, second);
    }
}

/* 128 bytes: the blocks counter + 0 .. counter + 7, as two groups of eight words. */
FD_INLINE void
philox_128_bytes(const philox_keys *keys, const uint64_t counter[2], v_u64 *lower, v_u64 *upper)
{
    v_u64 first, second;
    philox_consecutive(keys, counter, &first, &second);
    *lower = v_zip_even(first, second);
    *upper = v_zip_odd(first, second);
}

FD_INLINE void
philox4x32_loop(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                size_t whole, fd_sink sink, void *to)
{
    (void)lanes;
    (void)whole;
    const philox_keys keys = philox_schedule(identity->key);
    uint64_t counter[2] = {identity->counter[0], identity->counter[1]};
    v_u64 lower, upper;
    size_t i = 0;
    fd_counter_add(counter, 4 * step);
    for (; i + 2 <= steps; i += 2) {
        philox_128_bytes(&keys, counter, &lower, &upper);
        sink(to, i, lower);
        sink(to, i + 1, upper);
        fd_counter_add(counter, 8);
    }
    if (i < steps) {
        philox_128_bytes(&keys, counter, &lower, &upper);
        sink(to, i, lower);
    }
}

#endif
