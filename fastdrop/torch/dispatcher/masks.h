/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From words to masks, and masks applied.
 */
#ifndef FD_MASKS_H
#define FD_MASKS_H

#include "tensors.h"

/* The kept bits of at most FD_SMALL decisions. */
typedef struct {
    FD_ALIGN64 uint8_t bits[FD_SMALL / 8 + FD_PADDING];
} small_bits;

/* A mask at new words of a generator; NULL: the default one. */
fd_seeded draw_place(optional_pointer *generator, fd_threshold threshold);

/* n decisions at a place. */
void make_bits(const fd_seeded *place, size_t n, small_bits *out);

/* y = kept ? x * scale + shift : dropped, of n elements; each bit serves `run` of them. */
void apply_bits(const small_bits *kept, size_t n, size_t run, fd_dtype dtype,
                const fd_affine *numbers, const void *x, void *y);

/* PyTorch's threads. */
fd_executor all_threads(void);

#endif
