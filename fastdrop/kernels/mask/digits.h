/* SPDX-License-Identifier: BSD-3-Clause
 *
 * H, the 56 bits that decide where a byte ties: hashed from the element's position, eight elements
 * at a time.
 */
#ifndef FD_DIGITS_H
#define FD_DIGITS_H

#include "../source/philox4x32.h"

/* H of the eight elements at `counter`, which is that of element 0, plus their index. */
FD_INLINE v_u64
digits_at(const philox_keys *keys, const uint64_t counter[2], const uint16_t *index)
{
    v_u64 first, second;
    if (counter[0] <= UINT64_MAX - UINT16_MAX) {
        const v_u64 low = v_add64(v_set1(counter[0]), v_load_u16x8(index));
        philox_batch(keys, low, v_set1(counter[1]), &first, &second);
    } else {
        FD_ALIGN64 uint64_t low[8], high[8];
        for (size_t i = 0; i < 8; i++) {
            low[i] = counter[0] + index[i];
            high[i] = counter[1] + (low[i] < counter[0]);
        }
        philox_batch(keys, v_load_words(low), v_load_words(high), &first, &second);
    }
    return v_shr64(first, 8);
}

#endif
