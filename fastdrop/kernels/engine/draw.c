/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"

/* Elements [at, at + n) of the mask, n <= FD_TILE, in `tile`; pad bits are 0. */
static void
draw_tile(const fd_job *job, fd_cursor *cursor, uint64_t at, size_t n, fd_tile_bits *tile)
{
    const size_t bytes = (n + 7) / 8;
    fd_decide_tile(job->kernels, job->mask, cursor, at, n, tile, NULL);
    for (size_t i = 0; job->as_dropped && i < bytes; i++) {
        tile->bits[i] = (uint8_t)~tile->bits[i];
    }
    if (n % 8) {
        tile->bits[bytes - 1] &= (uint8_t)fd_low_bits(n % 8);
    }
}

/* `first` is a multiple of 8. */
static void
draw_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
          fd_watch watch)
{
    uint8_t *out = (uint8_t *)arrays.y;
    fd_tile_bits tile;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += FD_TILE) {
        const size_t count = fd_min(FD_TILE, (size_t)(end - first));
        draw_tile(job, cursor, first, count, &tile);
        if (job->as_bytes) {
            job->kernels->unpack(tile.bits, count, out + first);
        } else {
            memcpy(out + first / 8, tile.bits, (count + 7) / 8);
        }
    }
}

/* The same of a window: its runs are drawn, and what lies between them is skipped. */
static void
draw_window(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
            fd_watch watch)
{
    uint8_t *out = (uint8_t *)arrays.y;
    fd_tile_bits tile;
    fd_view_walk walk;
    size_t skipped = fd_runs_at(&walk, job->window, first);
    if (!job->as_bytes) {
        memset(out + first / 8, 0, (n + 7) / 8);
    }
    for (const uint64_t end = first + n; first < end && !fd_stops(watch);) {
        const size_t left = (size_t)walk.view.shape[walk.last] - skipped;
        const size_t count = fd_min(FD_TILE, fd_min(left, (size_t)(end - first)));
        draw_tile(job, cursor, (uint64_t)walk.at + skipped, count, &tile);
        if (job->as_bytes) {
            job->kernels->unpack(tile.bits, count, out + first);
        } else {
            fd_bits_place(out, first, tile.bits, count);
        }
        first += count;
        skipped += count;
        if (count == left) {
            fd_runs_next(&walk);
            skipped = 0;
        }
    }
}

int
fd_draw(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
        const fd_executor *executor)
{
    const fd_part part = job->window == NULL ? draw_part : draw_window;
    return fd_run_parts(part, job, cursor, n, arrays, executor);
}
