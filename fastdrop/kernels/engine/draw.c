/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"

/* `first` is a multiple of 8. */
static void
draw_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
          fd_watch watch)
{
    uint8_t *out = (uint8_t *)arrays.y;
    fd_tile_bits tile;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += FD_TILE) {
        const size_t count = fd_min(FD_TILE, (size_t)(end - first)), bytes = (count + 7) / 8;
        fd_decide_tile(job->kernels, job->mask, cursor, first, count, &tile, NULL);
        if (job->as_dropped) {
            for (size_t i = 0; i < bytes; i++) {
                tile.bits[i] = (uint8_t)~tile.bits[i];
            }
        }
        if (job->as_bytes) {
            job->kernels->unpack(tile.bits, count, out + first);
        } else {
            if (count % 8) {
                tile.bits[bytes - 1] &= (uint8_t)fd_low_bits(count % 8);
            }
            memcpy(out + first / 8, tile.bits, bytes);
        }
    }
}

int
fd_draw(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
        const fd_executor *executor)
{
    return fd_run_parts(draw_part, job, cursor, n, arrays, executor);
}
