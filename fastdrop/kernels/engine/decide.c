/* SPDX-License-Identifier: BSD-3-Clause */
#include "decide.h"

const uint8_t *
fd_read(const fd_kernels *kernels, const fd_seeded *stream, fd_cursor *cursor, uint64_t position,
        size_t n, uint8_t *room)
{
    const uint64_t step = position / FD_STEP;
    const size_t skipped = (size_t)(position % FD_STEP);
    const size_t steps = (skipped + n + FD_STEP - 1) / FD_STEP;
    size_t known = 0;
    if (skipped && cursor->has_last && cursor->last_step == step) {
        memcpy(room, cursor->last, FD_STEP);
        known = 1;
    }
    kernels->fill[stream->source](&stream->identity, &cursor->lanes, step + known, steps - known,
                                  room + known * FD_STEP);
    memcpy(cursor->last, room + (steps - 1) * FD_STEP, FD_STEP);
    cursor->last_step = step + steps - 1;
    cursor->has_last = 1;
    return room + skipped;
}

static int
reach(const fd_lanes *lanes, uint64_t step)
{
    return lanes->ready && lanes->step <= step &&
           lanes->step / FD_BLOCK_STEPS == step / FD_BLOCK_STEPS;
}

void
fd_cursor_follow(fd_cursor *cursor, const fd_cursor *other, const fd_seeded *stream,
                 uint64_t offset)
{
    const uint64_t step = (stream->position + offset) / FD_STEP;
    if (!reach(&cursor->lanes, step) && reach(&other->lanes, step)) {
        cursor->lanes = other->lanes;
    }
}

static void
seeded_tile(const fd_kernels *kernels, const fd_seeded *seeded, fd_cursor *cursor, uint64_t first,
            size_t n, uint8_t *kept, const fd_prefetch *soon)
{
    const fd_threshold threshold = seeded->threshold;
    if (threshold.drops_all || threshold.value == 0) {
        memset(kept, threshold.drops_all ? 0 : 0xFF, (n + 63) / 64 * 8);
        return;
    }
    kernels->decide[seeded->source](&seeded->identity, &cursor->lanes, seeded->position + first, n,
                                    threshold.value, &seeded->ties, kept, soon);
}

/* Its bytes take the stack of those calls only that need them. */
FD_APART void
varying_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor, uint64_t first,
             size_t n, uint8_t *kept)
{
    fd_read_bytes room;
    const fd_seeded *seeded = &mask->seeded;
    for (const uint64_t end = first + n; first < end; first += FD_READ_BYTES) {
        const uint64_t position = seeded->position + first;
        const size_t count = fd_min(FD_READ_BYTES, (size_t)(end - first));
        const uint8_t *bytes = fd_read(kernels, seeded, cursor, position, count, room.bytes);
        fd_decide(kernels, mask->each, &seeded->ties, bytes, first, count, position, kept);
        kept += count / 8;
    }
}

/* Goes by runs along the last axis. A run is copied where its elements have a decision each, and
 * repeated where the axis before has one decision. It is stretched where its elements share one. */
static void
broadcast_tile(const fd_broadcast *broadcast, const uint8_t *packed, uint64_t first, size_t n,
               fd_tile_bits *kept)
{
    fd_walk walk;
    fd_walk_start(&walk, broadcast, first);
    memset(kept, 0, sizeof *kept);
    for (size_t done = 0, count; done < n; done += count) {
        const uint64_t at = (uint64_t)walk.at;
        const size_t length = fd_walk_run(&walk, n - done);
        const size_t rows = fd_walk_rows(&walk, length, walk.step ? 0 : 1, n - done);
        count = length * rows;
        if (walk.step) {
            fd_bits_repeat(kept->bits, done, packed, at, length, count);
        } else {
            fd_bits_stretch(kept->bits, done, packed, at, rows, length);
        }
        fd_walk_on(&walk, length);
    }
}

uint8_t *
fd_decide_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor,
               uint64_t first, size_t n, fd_tile_bits *tile, const fd_prefetch *soon)
{
    if (mask->packed == NULL && mask->each == NULL) {
        seeded_tile(kernels, &mask->seeded, cursor, first, n, tile->bits, soon);
    } else if (mask->packed == NULL) {
        varying_tile(kernels, mask, cursor, first, n, tile->bits);
    } else if (mask->broadcast != NULL) {
        broadcast_tile(mask->broadcast, mask->packed, first, n, tile);
    } else if (first % 8 == 0) {
        return (uint8_t *)mask->packed + first / 8;
    } else {
        fd_bits_shift(mask->packed, first, n, tile->bits);
    }
    return tile->bits;
}
