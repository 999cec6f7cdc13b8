/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bit tricks inside one 64-bit word, for the instruction sets without an instruction for them.
 */
#ifndef FD_BITS_H
#define FD_BITS_H

#include "../common.h"

/* 64 bits to 64 bytes of 0 or 1: bit i of each byte moves to byte i of a word. */
FD_INLINE void
v_unpack64(uint64_t bits, uint8_t *to)
{
    for (int i = 0; i < 8; i++) {
        const uint64_t own = (bits >> 8 * i & 0xFF) * 0x0101010101010101u & 0x8040201008040201u;
        fd_store_le64(to + 8 * i, (own + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u);
    }
}

#endif
