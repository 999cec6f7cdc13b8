/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ties of a tile, listed: bits of words become indices, without a branch for each.
 */
#ifndef FD_LISTED_TIES_H
#define FD_LISTED_TIES_H

#include "kernels.h"

enum { FD_TILE_STEPS = FD_TILE / FD_STEP + 1 }; /* a tile may start inside of a step */

/* Words that have a bit for each tie: those of them that are not 0, one in five, and their indices.
 * There is a spare place at the end: a word is written before it is known whether it is 0. */
typedef struct {
    uint64_t bits[FD_TILE_STEPS + 1];
    uint8_t index[FD_TILE_STEPS + 1];
} fd_ties;

/* Returns the new length. */
FD_INLINE size_t
ties_add(fd_ties *ties, size_t length, size_t index, uint64_t bits)
{
    ties->bits[length] = bits;
    ties->index[length] = (uint8_t)index;
    return length + (bits != 0);
}

/* Lists ties as indices of bits, and returns how many. A round takes the lowest bit of each word, and
 * keeps the words that have another one. There are rounds as long as there is room for a whole one
 * within `most` >= FD_TILE_STEPS. What is listed is removed from `ties`.
 *
 * Example: word 3 is 10100b. It lists 64 * 3 + 2 in the first round and 64 * 3 + 4 in the second;
 * bits & (bits - 1) clears the lowest bit: 10100b & 10011b = 10000b. */
FD_INLINE size_t
ties_list(fd_ties *ties, size_t *left, size_t most, uint16_t *FD_RESTRICT list)
{
    size_t count = 0, length = *left, again;
    for (; length && count + length <= most; length = again) {
        again = 0;
        for (size_t i = 0; i < length; i++) {
            const uint64_t bits = ties->bits[i];
            const size_t index = ties->index[i];
            list[count++] = (uint16_t)(64 * index + fd_lowest_bit(bits));
            again = ties_add(ties, again, index, bits & (bits - 1));
        }
    }
    *left = length;
    return count;
}

#endif
