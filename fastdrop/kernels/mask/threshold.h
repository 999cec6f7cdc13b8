/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bytes to decisions. An element is dropped iff U = B * 2^56 + H < threshold, where B is its
 * byte and H, 56 more bits hashed from its position, matters only when B ties with the top byte
 * of the threshold: once in 256 elements. So p is exact to 2^-64 at 8 random bits an element.
 *
 * A branch for each tie would mispredict and cost more than all the rest, so the ties of a tile
 * are first collected without branches and then hashed eight at a time.
 */
#ifndef FD_THRESHOLD_H
#define FD_THRESHOLD_H

#include "../source/philox4x32.h"

/* Appends base + (index of each set bit) to `ties`; returns their number. Two are always
 * written: there are more in only one word of 450. */
FD_INLINE size_t
ties_collect(uint64_t equal, unsigned base, uint16_t *FD_RESTRICT ties)
{
    const uint64_t top = (uint64_t)1 << 63; /* so that the lowest bit exists */
    const size_t count = fd_popcount64(equal);
    ties[0] = (uint16_t)(base + fd_lowest_bit(equal | top));
    equal &= equal - 1;
    ties[1] = (uint16_t)(base + fd_lowest_bit(equal | top));
    for (size_t i = 2; i < count; i++) {
        equal &= equal - 1;
        ties[i] = (uint16_t)(base + fd_lowest_bit(equal));
    }
    return count;
}

/* Clears the kept bits of those ties whose digits are below `digits`. */
FD_INLINE void
ties_settle(const uint16_t *ties, size_t count, uint64_t digits, const fd_identity *identity,
            uint64_t position, uint8_t *FD_RESTRICT kept)
{
    const philox_keys keys = philox_schedule(identity->key);
    uint64_t counter[2] = {identity->counter[0], identity->counter[1]};
    FD_ALIGN64 uint64_t low[8], high[8], hashed[8];
    fd_counter_add(counter, position);
    for (size_t done = 0; done < count; done += 8) {
        const size_t batch = fd_min(8, count - done);
        for (size_t i = 0; i < 8; i++) {
            low[i] = counter[0] + (i < batch ? ties[done + i] : 0);
            high[i] = counter[1] + (low[i] < counter[0]);
        }
        v_u64 first, second;
        philox_batch(&keys, v_load_words(low), v_load_words(high), &first, &second);
        v_store_words(hashed, first);
        for (size_t i = 0; i < batch; i++) {
            const unsigned index = ties[done + i];
            const unsigned dropped = (hashed[i] >> 8) < digits;
            kept[index >> 3] &= (uint8_t)~(dropped << (index & 7));
        }
    }
}

static void
threshold_bytes(const uint8_t *FD_RESTRICT bytes, size_t n, uint64_t threshold,
                const fd_identity *ties_identity, uint64_t position, uint8_t *FD_RESTRICT kept)
{
    const v_u64 top = v_set1((threshold >> 56) * 0x0101010101010101u);
    const uint64_t digits = threshold & fd_low_bits(56);
    uint16_t ties[FD_TILE + 2];
    size_t count = 0;
    for (size_t i = 0; i < n; i += 64) {
        const v_u64 group = v_load_bytes(bytes + i);
        const uint64_t valid = fd_low_bits(n - i);
        fd_store_le64(kept + i / 8, v_bytes_ge(group, top) & valid);
        if (digits) {
            count += ties_collect(v_bytes_eq(group, top) & valid, (unsigned)i, ties + count);
        }
    }
    if (count) {
        ties_settle(ties, count, digits, ties_identity, position, kept);
    }
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
