/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bytes to decisions. An element is dropped iff U = B * 2^56 + H < threshold, where B is its
 * byte and H, 56 more bits hashed from its position, matters only when B ties with the top byte
 * of the threshold: once in 256 elements. So p is exact to 2^-64 at 8 random bits an element.
 *
 * A source's bytes are compared while they are in registers (`decide`), others where they lie
 * (`threshold`).
 */
#ifndef FD_THRESHOLD_H
#define FD_THRESHOLD_H

#include "../source/lanes.h"
#include "ties.h"

/* What the bytes of a tile say; the steps of the stream may start before its first element and end
 * after the last. */
typedef struct {
    uint64_t kept[FD_TILE_STEPS + 1]; /* the last word is there to be read */
    fd_ties ties;
} decisions;

typedef struct {
    v_u64 top;
    decisions *made;
    size_t ties;
    const char *soon;
    size_t soon_step;
} deciding;

/* As sinks: without and with ties. */
FD_INLINE void
decide_heads(void *to, size_t step, v_u64 bytes)
{
    const deciding *by = (const deciding *)to;
    for (size_t line = 0; line < by->soon_step; line += 64) {
        v_prefetch(by->soon + step * by->soon_step + line);
    }
    by->made->kept[step] = v_bytes_ge(bytes, by->top);
}

FD_INLINE void
decide_ties(void *to, size_t step, v_u64 bytes)
{
    deciding *by = (deciding *)to;
    decide_heads(to, step, bytes);
    by->ties = ties_add(&by->made->ties, by->ties, step, v_bytes_eq(bytes, by->top));
}

/* The bits of n elements, of which the first is `skipped` bits inside of the first step. */
FD_INLINE void
decisions_write(uint64_t *bits, size_t skipped, size_t n, uint8_t *FD_RESTRICT kept)
{
    const size_t words = (n + 63) / 64;
    if (skipped) {
        for (size_t i = 0; i < words; i++) {
            bits[i] = bits[i] >> skipped | bits[i + 1] << (64 - skipped);
        }
    }
    if (n % 64) {
        bits[words - 1] &= fd_low_bits(n % 64);
    }
    for (size_t i = 0; i < words; i++) {
        fd_store_le64(kept + 8 * i, bits[i]);
    }
}

FD_INLINE v_u64
top_bytes(uint64_t threshold)
{
    return v_set1((threshold >> 56) * 0x0101010101010101u);
}

/* `run` is what makes the bytes: constant where it is inlined. */
FD_INLINE void
decide(fd_run run, const fd_identity *identity, fd_lanes *lanes, uint64_t position, size_t n,
       uint64_t threshold, const fd_identity *ties, uint8_t *FD_RESTRICT kept, const char *soon,
       size_t soon_step)
{
    const uint64_t step = position / FD_STEP, digits = threshold & fd_low_bits(56);
    const size_t skipped = (size_t)(position % FD_STEP), whole = (skipped + n) / FD_STEP;
    const size_t steps = (skipped + n + FD_STEP - 1) / FD_STEP;
    decisions made;
    deciding by = {top_bytes(threshold), &made, 0, soon, soon_step};
    if (digits) {
        run(identity, lanes, step, steps, whole, decide_ties, &by);
        ties_settle(&made.ties, by.ties, digits, ties, position - skipped, made.kept);
    } else {
        run(identity, lanes, step, steps, whole, decide_heads, &by);
    }
    decisions_write(made.kept, skipped, n, kept);
}

#define FD_DEFINE_DECIDE(SOURCE)                                                                   \
    static void SOURCE##_decide(const fd_identity *identity, fd_lanes *lanes, uint64_t position,   \
                                size_t n, uint64_t threshold, const fd_identity *ties,             \
                                uint8_t *FD_RESTRICT kept, const char *soon, size_t soon_step)     \
    {                                                                                              \
        decide(SOURCE##_run, identity, lanes, position, n, threshold, ties, kept, soon,            \
               soon_step);                                                                         \
    }

FD_DEFINE_DECIDE(philox4x32)
FD_DEFINE_DECIDE(xoshiro256plusplus)
FD_DEFINE_DECIDE(xorshift128plus)

static void
threshold_bytes(const uint8_t *FD_RESTRICT bytes, size_t n, uint64_t threshold,
                const fd_identity *ties, uint64_t position, uint8_t *FD_RESTRICT kept)
{
    const uint64_t digits = threshold & fd_low_bits(56);
    decisions made;
    deciding by = {top_bytes(threshold), &made, 0, NULL, 0};
    for (size_t i = 0; i < n; i += FD_STEP) {
        decide_ties(&by, i / FD_STEP, v_load_bytes(bytes + i));
    }
    if (digits) {
        ties_settle(&made.ties, by.ties, digits, ties, position, made.kept);
    }
    decisions_write(made.kept, 0, n, kept);
}

static void
unpack_bits(const uint8_t *FD_RESTRICT bits, size_t n, uint8_t *FD_RESTRICT bytes)
{
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        v_unpack64(fd_load_le64(bits + i / 8), bytes + i);
    }
    for (; i < n; i++) {
        bytes[i] = (bits[i / 8] >> (i % 8)) & 1;
    }
}

#endif
