/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bytes to decisions. An element is dropped iff U = B * 2^56 + H < threshold, where B is its
 * byte and H, 56 more bits hashed from its position, matters only when B ties with the top byte
 * of the threshold: once in 256 elements. So p is exact to 2^-64 at 8 random bits per element.
 *
 * A source's bytes are compared while they are in registers (`decide`), others where they lie
 * (`threshold`).
 */
#ifndef FD_THRESHOLD_H
#define FD_THRESHOLD_H

#include "../source/lanes.h"
#include "ties.h"

/* Kept bits are stored as soon as they are known, eight bytes at once. Loads that are no wider than
 * these stores get the bits from the store buffer, and need not wait for the cache.
 *
 * The steps of the stream may start `skipped` elements before the first one, and end after the last.
 * So a word of kept bits is made of two steps. Example: with skipped = 10, word 0 has bits 10 ... 63
 * of step 0, and above them bits 0 ... 9 of step 1. */
typedef struct {
    v_u64 top;
    uint8_t *kept;
    size_t skipped;
    uint64_t last; /* the bits of the step before */
    fd_ties *made;
    size_t ties;
    fd_prefetch soon;
} deciding;

/* Asks for `bytes` bytes, `ahead` of `from`: an address, no pointer, for it may be past the end. */
FD_INLINE void
prefetch_lines(const char *from, size_t ahead, size_t bytes)
{
    for (size_t line = 0; line < bytes; line += 64) {
        v_prefetch((const void *)((uintptr_t)from + ahead + line));
    }
}

/* The sinks, without and with ties. Step i completes word i - 1. Step 0 completes none: it writes to
 * word 0, which step 1 overwrites. */
FD_INLINE void
decide_heads(void *to, size_t step, v_u64 bytes)
{
    deciding *by = (deciding *)to;
    const uint64_t bits = v_bytes_ge(bytes, by->top);
    prefetch_lines(by->soon.x, step * by->soon.step, by->soon.step);
    if (by->soon.other != NULL) {
        prefetch_lines(by->soon.other, step * by->soon.step, by->soon.step);
    }
    fd_store_le64(by->kept + 8 * (step - (step != 0)),
                  by->last >> by->skipped | bits << 1 << (63 - by->skipped));
    by->last = bits;
}

FD_INLINE void
decide_ties(void *to, size_t step, v_u64 bytes)
{
    deciding *by = (deciding *)to;
    decide_heads(to, step, bytes);
    by->ties = ties_add(by->made, by->ties, step, v_bytes_eq(bytes, by->top));
}

/* After all steps: writes the last word of n > 0 elements, and settles the ties. A tie is dropped if
 * its digits are below `limit`, the threshold without its top byte; `position` is that of the first
 * byte of the first step. */
FD_INLINE void
decide_end(const deciding *by, size_t steps, size_t n, uint64_t limit, const fd_identity *identity,
           uint64_t position)
{
    const size_t words = (n + 63) / 64;
    uint8_t *const end = by->kept + 8 * (words - 1);
    const uint64_t bits = steps > words ? fd_load_le64(end) : by->last >> by->skipped;
    fd_store_le64(end, bits & fd_low_bits(n - 64 * (words - 1)));
    if (limit && by->ties) {
        ties_settle(by->made, by->ties, limit, identity, position, by->skipped, n, by->kept);
    }
}

FD_INLINE v_u64
top_bytes(uint64_t threshold)
{
    return v_set1((threshold >> 56) * 0x0101010101010101u);
}

/* `loop` makes the bytes; it is a constant where this is inlined. */
FD_INLINE void
decide(fd_loop loop, const fd_identity *identity, fd_lanes *lanes, uint64_t position, size_t n,
       uint64_t threshold, const fd_identity *ties, uint8_t *FD_RESTRICT kept,
       const fd_prefetch *soon)
{
    const uint64_t step = position / FD_STEP, limit = threshold & fd_low_bits(56);
    const size_t skipped = (size_t)(position % FD_STEP), whole = (skipped + n) / FD_STEP;
    const size_t steps = (skipped + n + FD_STEP - 1) / FD_STEP;
    fd_ties made;
    const fd_prefetch nothing = {NULL, NULL, 0};
    deciding by = {top_bytes(threshold), kept, skipped, 0, &made, 0, soon ? *soon : nothing};
    if (n == 0) {
        return;
    }
    if (limit) {
        loop(identity, lanes, step, steps, whole, decide_ties, &by);
    } else {
        loop(identity, lanes, step, steps, whole, decide_heads, &by);
    }
    decide_end(&by, steps, n, limit, ties, position - skipped);
}

#define FD_DEFINE_DECIDE(NUMBER, SOURCE, ...)                                                      \
    static void SOURCE##_decide(const fd_identity *identity, fd_lanes *lanes, uint64_t position,   \
                                size_t n, uint64_t threshold, const fd_identity *ties,             \
                                uint8_t *FD_RESTRICT kept, const fd_prefetch *soon)                \
    {                                                                                              \
        decide(SOURCE##_loop, identity, lanes, position, n, threshold, ties, kept, soon);          \
    }

FD_EACH_SOURCE(FD_DEFINE_DECIDE)

static void
threshold_bytes(const uint8_t *FD_RESTRICT bytes, size_t n, uint64_t threshold,
                const fd_identity *ties, uint64_t position, uint8_t *FD_RESTRICT kept)
{
    const uint64_t limit = threshold & fd_low_bits(56);
    const size_t steps = (n + FD_STEP - 1) / FD_STEP;
    fd_ties made;
    deciding by = {top_bytes(threshold), kept, 0, 0, &made, 0, {NULL, NULL, 0}};
    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < steps; i++) {
        decide_ties(&by, i, v_load_bytes(bytes + FD_STEP * i));
    }
    decide_end(&by, steps, n, limit, ties, position);
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
