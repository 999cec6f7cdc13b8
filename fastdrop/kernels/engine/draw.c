/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"
#include "window.h"

static void
clear_pad(fd_tile_bits *tile, size_t n)
{
    if (n % 8) {
        tile->bits[n / 8] &= (uint8_t)fd_low_bits(n % 8);
    }
}

static void
swap(fd_tile_bits **one, fd_tile_bits **other)
{
    fd_tile_bits *const first = *one;
    *one = *other;
    *other = first;
}

/* Elements [at, at + n) of the mask, n <= FD_TILE, in `tile`; pad bits are 0. */
static void
draw_tile(const fd_job *job, fd_cursor *cursor, uint64_t at, size_t n, fd_tile_bits *tile)
{
    const size_t bytes = (n + 7) / 8;
    fd_decide_tile(job->kernels, job->mask, cursor, at, n, tile, NULL);
    for (size_t i = 0; job->as_dropped && i < bytes; i++) {
        tile->bits[i] = (uint8_t)~tile->bits[i];
    }
    clear_pad(tile, n);
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

/* The same of a window, piece by piece: the bits of a piece's elements are picked from its span. */
static void
draw_window(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
            fd_watch watch)
{
    uint8_t *out = (uint8_t *)arrays.y;
    fd_tile_bits tiles[2], *drawn = &tiles[0], *room = &tiles[1];
    fd_pieces walk;
    if (n == 0) {
        return;
    }
    if (!job->as_bytes) {
        memset(out + first / 8, 0, (n + 7) / 8);
    }
    size_t skipped = fd_pieces_at(&walk, job->window, first), count;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += count) {
        const fd_piece piece = fd_pieces_piece(&walk);
        count = fd_min(piece.elements - skipped, (size_t)(end - first));
        draw_tile(job, cursor, piece.at, piece.span, drawn);
        if (!piece.is_run) {
            const fd_view view = fd_pieces_view(&walk);
            fd_gather_bits(&view, drawn->bits, room->bits);
            swap(&drawn, &room);
        }
        if (skipped) {
            fd_bits_shift(drawn->bits, skipped, count, room->bits);
            swap(&drawn, &room);
            skipped = 0;
        }
        if (job->as_bytes) {
            job->kernels->unpack(drawn->bits, count, out + first);
        } else {
            clear_pad(drawn, count);
            fd_bits_place(out, first, drawn->bits, count);
        }
        fd_pieces_next(&walk);
    }
}

int
fd_draw(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
        const fd_executor *executor)
{
    const fd_part part = job->window == NULL ? draw_part : draw_window;
    return fd_run_parts(part, job, cursor, n, arrays, executor);
}
