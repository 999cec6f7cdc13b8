/* SPDX-License-Identifier: BSD-3-Clause
 *
 * All sources, a row for each. What is made for every source, is made of this list.
 */
#ifndef FD_SOURCES_H
#define FD_SOURCES_H

/* Those of the xorshift family: 64-bit words of a lane, and the tag of the key that seeds lanes. */
#define FD_LANES_OF_XOSHIRO256PLUSPLUS 4, "fd:xo256"
#define FD_LANES_OF_XORSHIFT128PLUS 2, "fd:xs128"
#define FD_NO_LANES 0, ""

/* The index, the name in C and in Python, the lanes, and the tag of the key of the tie digits. Then:
 * of how many elements x is prefetched for every 64 whose bits are made, where x comes from memory
 * (see engine/apply.c). Fast sources finish early and would wait for more. */
#define FD_EACH_SOURCE(ROW)                                                                        \
    ROW(FD_PHILOX4X32, philox4x32, "Philox4x32", FD_NO_LANES, "fd:tieph", 48)                      \
    ROW(FD_XOSHIRO256PLUSPLUS, xoshiro256plusplus, "Xoshiro256PlusPlus",                           \
        FD_LANES_OF_XOSHIRO256PLUSPLUS, "fd:tiexo", 32)                                            \
    ROW(FD_XORSHIFT128PLUS, xorshift128plus, "Xorshift128Plus", FD_LANES_OF_XORSHIFT128PLUS,       \
        "fd:tiexs", 32)

/* The tag of the tie digits of masks that a NumPy bit generator draws. */
#define FD_TIES_OF_NUMPY "fd:tienp"

#endif
