/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rows of bits with an exact number of ones. Bits of a fitting probability are drawn first; here the
 * rows that have too few or too many are counted and corrected. Bits have FD_PADDING bytes to spare.
 */
#ifndef FD_EXACT_H
#define FD_EXACT_H

#include "../common.h"

/* A row whose ones are not `k` yet: negative where it has too many. */
typedef struct {
    uint64_t row;
    int64_t missing;
} fd_exact_row;

/* Lists the rows of n bits that do not have k ones, and returns how many there are. */
size_t fd_exact_list(const uint8_t *bits, size_t rows, size_t n, size_t k, fd_exact_row *list);

/* Returns how many random words these rows take in one round. */
size_t fd_exact_words(const fd_exact_row *list, size_t count, size_t n, size_t k);

/* Each word names a place of its row, or none. Bits at these places are changed until the row is
 * right or its words are used up. Keeps in the list what is still wrong, and returns how many. */
size_t fd_exact_correct(uint8_t *bits, size_t n, size_t k, fd_exact_row *list, size_t count,
                        const uint8_t *words);

#endif
