/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A source of fastdrop as NumPy's bit-generator interface sees it: words at a position.
 */
#ifndef FD_STREAM_H
#define FD_STREAM_H

#include "../kernels.h"

enum { FD_STREAM_CHUNK_STEPS = 16, FD_STREAM_CHUNK = FD_STREAM_CHUNK_STEPS * FD_STEP };

/* The chunk of bytes around the position is a cache: no part of the value. A fork may find it half
 * made by another thread, whose work the child does not go on with. */
typedef struct {
    fd_source source;
    fd_identity identity;
    uint64_t position;
    fd_lanes lanes;
    uint64_t made; /* the bytes start at (made - 1) * FD_STREAM_CHUNK; 0: they and the lanes are
                      worth nothing */
    uint8_t bytes[FD_STREAM_CHUNK];
} fd_stream;

/* The next `n` <= 8 bytes as a little-endian word; positions wrap at 2^64. */
uint64_t fd_stream_next(const fd_kernels *kernels, fd_stream *stream, size_t n);

#endif
