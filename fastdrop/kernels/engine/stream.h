/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A source of ours as NumPy's bit-generator interface sees it: words at a position.
 */
#ifndef FD_STREAM_H
#define FD_STREAM_H

#include "../kernels.h"

enum { FD_STREAM_CHUNK_STEPS = 16, FD_STREAM_CHUNK = FD_STREAM_CHUNK_STEPS * FD_STEP };

/* The chunk of bytes around the position is a cache: no part of the value. */
typedef struct {
    fd_source source;
    fd_identity identity;
    uint64_t position;
    fd_lanes lanes;
    uint64_t chunk; /* its bytes start at chunk * FD_STREAM_CHUNK */
    uint64_t has_chunk;
    uint8_t bytes[FD_STREAM_CHUNK];
} fd_stream;

/* The next `n` <= 8 bytes as a little-endian word; positions wrap at 2^64. */
uint64_t fd_stream_next(const fd_kernels *kernels, fd_stream *stream, size_t n);

#endif
