/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The xorshift family: 8 lanes of a serial generator, reseeded from Philox4x32 for every block
 * of 16 KiB, so that any byte can be reached at once. The two generators differ only in the
 * number of words, the tag and the step:
 *
 *   xoshiro256++    Blackman, Vigna, "Scrambled linear pseudorandom number generators",
 *                   ACM TOMS 47 (2021).
 *   xorshift128+    Vigna, "Further scramblings of Marsaglia's xorshift generators",
 *                   J. Comput. Appl. Math. 315 (2017); shifts 23, 18, 5, and the output is the
 *                   sum of the state before its update.
 */
#ifndef FD_LANES_H
#define FD_LANES_H

#include "philox4x32.h"

typedef v_u64 (*lanes_step)(v_u64 s[4]);

FD_INLINE v_u64
xoshiro256plusplus_step(v_u64 s[4])
{
    v_u64 output = v_add64(v_rotl64(v_add64(s[0], s[3]), 23), s[0]);
    const v_u64 s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3];
    s[0] = v_xor3(s3, s1, s0);
    s[1] = v_xor3(s2, s0, s1);
    s[2] = v_xor3(s2, s0, v_shl64(s1, 17));
    s[3] = v_rotl64(v_xor(s3, s1), 45);
    return output;
}

FD_INLINE v_u64
xorshift128plus_step(v_u64 s[4])
{
    v_u64 s1 = s[0], s0 = s[1];
    s1 = v_xor(s1, v_shl64(s1, 23));
    v_u64 output = v_add64(s[0], s0);
    s[0] = s0;
    s[1] = v_xor3(v_xor(s1, s0), v_shr64(s1, 18), v_shr64(s0, 5));
    return output;
}

/* The states at the start of a block: word j of lane l is 64-bit word 8j + l of the block's
 * 64 * words bytes of the tagged Philox stream. */
FD_APART void
lanes_made(const fd_identity *identity, const char tag[8], int words, uint64_t block, v_u64 s[4])
{
    const fd_identity seeds = fd_tagged(identity, tag);
    const philox_keys keys = philox_schedule(seeds.key);
    uint64_t counter[2] = {seeds.counter[0], seeds.counter[1]};
    fd_counter_add(counter, 4 * (uint64_t)words * block);
    for (int word = 0; word < words; word += 2) {
        philox_128_bytes(&keys, counter, &s[word], &s[word + 1]);
        fd_counter_add(counter, 8);
    }
    /* A lane of zeros would stay zero for ever: once in 2^(64 * words) lanes. */
    FD_ALIGN64 uint64_t any[8], first[8];
    v_u64 all = v_or(s[0], s[1]);
    for (int word = 2; word < words; word++) {
        all = v_or(all, s[word]);
    }
    v_store_words(any, all);
    v_store_words(first, s[0]);
    int zeros = 0;
    for (int lane = 0; lane < 8; lane++) {
        zeros |= any[lane] == 0;
    }
    if (zeros) {
        for (int lane = 0; lane < 8; lane++) {
            first[lane] = any[lane] ? first[lane] : 0x9E3779B97F4A7C15u;
        }
        s[0] = v_load_words(first);
    }
}

/* The same for a loop, whose states stay in registers: no other function knows their address. */
FD_INLINE void
lanes_seed(const fd_identity *identity, const char tag[8], int words, uint64_t block, v_u64 s[4])
{
    v_u64 made[4];
    lanes_made(identity, tag, words, block, made);
    for (int word = 0; word < words; word++) {
        s[word] = made[word];
    }
}

FD_INLINE void
lanes_save(fd_lanes *lanes, int words, const v_u64 s[4], uint64_t step)
{
    for (int word = 0; word < words; word++) {
        v_store_words(lanes->word[word], s[word]);
    }
    lanes->step = step;
    lanes->ready = step % FD_BLOCK_STEPS != 0; /* a new block is seeded, not stepped into */
}

/* The loop of both generators; `advance`, `words`, `tag` and `sink` are constants where it is
 * inlined. */
FD_INLINE void
lanes_loop(lanes_step advance, int words, const char tag[8], const fd_identity *identity,
           fd_lanes *lanes, uint64_t step, size_t steps, size_t whole, fd_sink sink, void *to)
{
    v_u64 s[4];
    uint64_t at = step - step % FD_BLOCK_STEPS;
    if (lanes->ready && lanes->step >= at && lanes->step <= step) {
        at = lanes->step;
        for (int word = 0; word < words; word++) {
            s[word] = v_load_words(lanes->word[word]);
        }
    } else {
        lanes_seed(identity, tag, words, step / FD_BLOCK_STEPS, s);
    }
    for (; at < step; at++) {
        (void)advance(s);
    }
    for (size_t done = 0;;) {
        const size_t in_block = (size_t)((step + done) % FD_BLOCK_STEPS);
        if (done == whole) {
            lanes_save(lanes, words, s, step + done);
        }
        if (done == steps) {
            break;
        }
        if (done && in_block == 0) {
            lanes_seed(identity, tag, words, (step + done) / FD_BLOCK_STEPS, s);
        }
        const size_t end = fd_min(done < whole ? whole : steps, done + FD_BLOCK_STEPS - in_block);
        for (; done < end; done++) {
            sink(to, done, advance(s));
        }
    }
}

FD_INLINE void
xoshiro256plusplus_loop(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                        size_t whole, fd_sink sink, void *to)
{
    lanes_loop(xoshiro256plusplus_step, FD_LANES_OF_XOSHIRO256PLUSPLUS, identity, lanes, step,
               steps, whole, sink, to);
}

FD_INLINE void
xorshift128plus_loop(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                     size_t whole, fd_sink sink, void *to)
{
    lanes_loop(xorshift128plus_step, FD_LANES_OF_XORSHIFT128PLUS, identity, lanes, step, steps,
               whole, sink, to);
}

#endif
