/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Elements of an array in another order, or some of them: bits of masks, or numbers. Both go by
 * small squares, so that neither array is read or written far apart.
 */
#ifndef FD_GATHER_H
#define FD_GATHER_H

#include "broadcast.h"

/* Which elements of an array make up the result, in C order: that at `index` is the element at
 * offset + the sum of index[axis] * stride[axis]. */
typedef struct {
    int64_t offset;
    int ndim;
    int64_t shape[FD_MAX_DIMS], stride[FD_MAX_DIMS];
} fd_view;

/* Bits, lowest first; pad bits become 0. Both arrays have FD_PADDING bytes to spare, and do not
 * overlap. A view without elements writes nothing. */
void fd_gather_bits(const fd_view *view, const uint8_t *FD_RESTRICT from, uint8_t *FD_RESTRICT to);

/* Items of 2, 4, 8 or 16 bytes. The arrays do not overlap. */
void fd_gather_items(const fd_view *view, size_t item, const char *FD_RESTRICT from,
                     char *FD_RESTRICT to);

#endif
