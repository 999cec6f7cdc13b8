/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bytes and the kept bits of one tile, whatever the mask is.
 */
#ifndef FD_DECIDE_H
#define FD_DECIDE_H

#include "bits.h"
#include "each.h"

/* A seeded mask: element i is decided by the byte and the tie digits at position + i. */
typedef struct {
    fd_source source;
    fd_identity identity, ties;
    uint64_t position;
    fd_threshold threshold;
} fd_seeded;

/* Where a stream was left: the lanes before step lanes.step, and the last step of bytes when
 * only a part of it was used. A cache: from an empty (all zero) cursor the results are the same. */
typedef struct {
    fd_lanes lanes;
    uint64_t last_step;
    uint8_t last[FD_STEP];
    uint64_t has_last;
} fd_cursor;

/* One of the three: `packed`, or `each`, where it is not NULL. */
typedef struct {
    fd_seeded seeded;
    const fd_numbers *each; /* seeded, with these probabilities and not the threshold */
    const uint8_t *packed;
    const fd_broadcast *broadcast; /* of packed masks; NULL: one bit for each element */
} fd_any_mask;

/* Bytes of a stream, at most FD_READ_BYTES. They may start inside of a step, and there is room for
 * what is read past their end. */
typedef struct {
    FD_ALIGN64 uint8_t bytes[FD_READ_BYTES + 2 * FD_STEP];
} fd_read_bytes;

/* Bits of one tile. */
typedef struct {
    FD_ALIGN64 uint8_t bits[FD_TILE / 8 + FD_PADDING];
} fd_tile_bits;

/* Bytes [position, position + n) of a stream: where they are in `room`, which has 2 FD_STEP more. */
const uint8_t *fd_read(const fd_kernels *kernels, const fd_seeded *stream, fd_cursor *cursor,
                       uint64_t position, size_t n, uint8_t *room);

/* Where the next read is `offset` bytes after the stream's start: goes on from another cursor, if its
 * lanes reach that step and this one's do not. */
void fd_cursor_follow(fd_cursor *cursor, const fd_cursor *other, const fd_seeded *stream,
                      uint64_t offset);

/* The kept bits of elements [first, first + n): in `tile`, or, not to be written, in the mask.
 * On the way it prefetches what is read soon, unless that is NULL. */
uint8_t *fd_decide_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor,
                        uint64_t first, size_t n, fd_tile_bits *tile, const fd_prefetch *soon);

#endif
