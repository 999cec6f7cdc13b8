/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

static void
chunk_fill(const fd_kernels *kernels, fd_stream *stream, uint64_t chunk)
{
    if (stream->made == 0) {
        stream->lanes.ready = 0;
    }
    stream->made = 0;
    kernels->fill[stream->source](&stream->identity, &stream->lanes, chunk * FD_STREAM_CHUNK_STEPS,
                                  FD_STREAM_CHUNK_STEPS, stream->bytes);
    stream->made = chunk + 1;
}

uint64_t
fd_stream_next(const fd_kernels *kernels, fd_stream *stream, size_t n)
{
    uint64_t word = 0;
    const size_t offset = (size_t)(stream->position % FD_STREAM_CHUNK);
    if (stream->made == stream->position / FD_STREAM_CHUNK + 1 && offset + 8 <= FD_STREAM_CHUNK) {
        word = fd_load_le64(stream->bytes + offset);
        stream->position += n;
        return word & fd_low_bits(8 * n);
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t chunk = stream->position / FD_STREAM_CHUNK;
        if (stream->made != chunk + 1) {
            chunk_fill(kernels, stream, chunk);
        }
        word |= (uint64_t)stream->bytes[stream->position % FD_STREAM_CHUNK] << 8 * i;
        stream->position++;
    }
    return word;
}
