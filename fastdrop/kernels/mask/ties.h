/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Elements whose byte ties with the top byte of the threshold, once in 256: 56 more bits, hashed
 * from the element's position, decide. A branch for each tie would mispredict and cost more than
 * all the rest, so the ties of a tile are first listed without branches and then hashed eight at a
 * time.
 */
#ifndef FD_TIES_H
#define FD_TIES_H

#include "../listed_ties.h"
#include "digits.h"

enum { FD_LISTED = 4 * FD_TILE_STEPS }; /* most ties that are hashed at once: a tile has 32 */

/* Clears the kept bits of those ties whose digits, hashed from `position` + index, are below `limit`.
 * Kept bit i is that of index `skipped` + i. There are n kept bits; a tie outside of them clears
 * nothing. Destroys `ties`. */
FD_INLINE void
ties_settle(fd_ties *ties, size_t length, uint64_t limit, const fd_identity *identity,
            uint64_t position, size_t skipped, size_t n, uint8_t *FD_RESTRICT kept)
{
    uint16_t list[FD_LISTED + 8];
    const philox_keys keys = philox_schedule(identity->key);
    const v_u64 limits = v_set1(limit);
    uint64_t counter[2] = {identity->counter[0], identity->counter[1]};
    fd_counter_add(counter, position);
    do {
        const size_t count = ties_list(ties, &length, FD_LISTED, list);
        for (size_t i = 0; i < 7; i++) {
            list[count + i] = list[0]; /* a whole group of 8, in which the first is settled again */
        }
        for (const uint16_t *group = list; group < list + count; group += 8) {
            FD_ALIGN64 uint64_t dropped[8];
            /* Both are below 2^63: own - limit has its top bit set iff own < limit. */
            const v_u64 own = digits_at(&keys, counter, group);
            v_store_words(dropped, v_shr64(v_sub64(own, limits), 63));
            for (size_t i = 0; i < 8; i++) {
                const size_t bit = group[i] - skipped, inside = bit < n, at = bit & (0 - inside);
                uint8_t *const word = kept + at / 64 * 8;
                fd_store_le64(word, fd_load_le64(word) & ~((dropped[i] & inside) << at % 64));
            }
        }
    } while (length);
}

#endif
