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

/* Writes the indices of the set bits of `words` words to `ties`; returns how many. First the words
 * that are not 0, one in five, are listed without a branch; few of these have a second bit. */
FD_INLINE size_t
ties_collect(const uint64_t *FD_RESTRICT equal, size_t words, uint16_t *FD_RESTRICT ties)
{
    uint8_t listed[FD_TILE / 64 + 1];
    size_t length = 0, count = 0;
    for (size_t word = 0; word < words; word++) {
        listed[length] = (uint8_t)word;
        length += equal[word] != 0;
    }
    for (size_t i = 0; i < length; i++) {
        uint64_t bits = equal[listed[i]];
        do {
            ties[count++] = (uint16_t)(64 * listed[i] + fd_lowest_bit(bits));
            bits &= bits - 1;
        } while (bits);
    }
    return count;
}

/* Clears the kept bits of those ties whose digits are below `digits`. Reads `ties` in whole
 * groups of 8; what lies past the end is hashed and ignored. */
FD_INLINE void
ties_settle(const uint16_t *ties, size_t count, uint64_t digits, const fd_identity *identity,
            uint64_t position, uint8_t *FD_RESTRICT kept)
{
    const philox_keys keys = philox_schedule(identity->key);
    const v_u64 limit = v_set1(digits);
    uint64_t counter[2] = {identity->counter[0], identity->counter[1]};
    fd_counter_add(counter, position);
    for (size_t done = 0; done < count; done += 8) {
        FD_ALIGN64 uint64_t dropped[8];
        v_u64 first, second;
        if (counter[0] <= UINT64_MAX - FD_TILE) {
            const v_u64 low = v_add64(v_set1(counter[0]), v_load_u16x8(ties + done));
            philox_batch(&keys, low, v_set1(counter[1]), &first, &second);
        } else {
            FD_ALIGN64 uint64_t low[8], high[8];
            for (size_t i = 0; i < 8; i++) {
                low[i] = counter[0] + ties[done + i];
                high[i] = counter[1] + (low[i] < counter[0]);
            }
            philox_batch(&keys, v_load_words(low), v_load_words(high), &first, &second);
        }
        v_store_words(dropped, v_shr64(v_sub64(v_shr64(first, 8), limit), 63));
        for (size_t i = 0; i < fd_min(8, count - done); i++) {
            const unsigned index = ties[done + i];
            kept[index / 8] &= (uint8_t)~(dropped[i] << index % 8);
        }
    }
}

static void
threshold_bytes(const uint8_t *FD_RESTRICT bytes, size_t n, uint64_t threshold,
                const fd_identity *ties_identity, uint64_t position, uint8_t *FD_RESTRICT kept,
                const char *soon, size_t soon_step)
{
    const v_u64 top = v_set1((threshold >> 56) * 0x0101010101010101u);
    const uint64_t digits = threshold & fd_low_bits(56);
    uint64_t equal[FD_TILE / 64];
    for (size_t i = 0; i < n; i += 64) {
        const v_u64 group = v_load_bytes(bytes + i);
        const uint64_t valid = fd_low_bits(n - i);
        for (size_t line = 0; line < soon_step; line += 64) {
            v_prefetch(soon + i / 64 * soon_step + line);
        }
        fd_store_le64(kept + i / 8, v_bytes_ge(group, top) & valid);
        if (digits) {
            equal[i / 64] = v_bytes_eq(group, top) & valid;
        }
    }
    if (digits) {
        uint16_t ties[FD_TILE + 8]; /* read in whole groups of 8 */
        const size_t count = ties_collect(equal, (n + 63) / 64, ties);
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
