/* SPDX-License-Identifier: BSD-3-Clause */
#include "tiles.h"

#include "threads.h"

/* Threads below this many elements each cost more than they save: waking a worker takes a few
 * microseconds, in which one thread decides about 40,000 elements. */
enum { ELEMENTS_A_THREAD = 1 << 16 };

/* Elements of a tile: few enough for x and y to stay in L1 with their bytes; or, where they come
 * from memory anyway, as many as there may be, since every tile interrupts the stream. */
enum { TILE_IN_CACHES = 4096, TILE_PAST_CACHES = FD_TILE };

/* What will be read once the bits are made: `step` bytes for every 64 elements. */
typedef struct {
    const char *from;
    size_t step;
} prefetch;

/* Bits of one tile, with room for the whole words that bits_write touches. */
typedef struct {
    FD_ALIGN64 uint8_t bits[FD_TILE / 8 + FD_PADDING];
} tile_bits;

/* ---- bits ------------------------------------------------------------------------------- */

/* Bits [at, at + 56] and a few more. */
static uint64_t
bits_read(const uint8_t *bits, uint64_t at)
{
    return fd_load_le64(bits + at / 8) >> at % 8;
}

/* Sets bits [at, at + count), count <= 56, that are 0 so far. */
static void
bits_write(uint8_t *bits, size_t at, uint64_t value, size_t count)
{
    uint8_t *word = bits + at / 8;
    fd_store_le64(word, fd_load_le64(word) | (value & fd_low_bits(count)) << at % 8);
}

/* Every bit twice, for the two numbers of a complex element. */
static void
bits_double(const uint8_t *bits, size_t n, uint8_t *doubled)
{
    for (size_t i = 0; i < n; i += 8) {
        uint32_t x = bits[i / 8];
        x = (x | x << 4) & 0x0F0Fu;
        x = (x | x << 2) & 0x3333u;
        x = (x | x << 1) & 0x5555u;
        x |= x << 1;
        doubled[i / 4] = (uint8_t)x;
        doubled[i / 4 + 1] = (uint8_t)(x >> 8);
    }
}

/* ---- mask: the kept bits of one tile ---------------------------------------------------- */

static void
seeded_tile(const fd_kernels *kernels, const fd_seeded *seeded, fd_cursor *cursor, uint64_t first,
            size_t n, uint8_t *kept, prefetch soon)
{
    const fd_threshold threshold = seeded->threshold;
    if (threshold.drops_all || threshold.value == 0) {
        memset(kept, threshold.drops_all ? 0 : 0xFF, (n + 63) / 64 * 8);
        return;
    }
    FD_ALIGN64 uint8_t bytes[FD_TILE + 2 * FD_STEP];
    const uint64_t position = seeded->position + first, step = position / FD_STEP;
    const size_t skipped = (size_t)(position % FD_STEP);
    const size_t steps = (skipped + n + FD_STEP - 1) / FD_STEP;
    size_t known = 0;
    if (skipped && cursor->has_last && cursor->last_step == step) {
        memcpy(bytes, cursor->last, FD_STEP);
        known = 1;
    }
    kernels->fill[seeded->source](&seeded->identity, &cursor->lanes, step + known, steps - known,
                                  bytes + known * FD_STEP);
    memcpy(cursor->last, bytes + (steps - 1) * FD_STEP, FD_STEP);
    cursor->last_step = step + steps - 1;
    cursor->has_last = 1;
    kernels->threshold(bytes + skipped, n, threshold.value, &seeded->ties, position, kept,
                       soon.from, soon.step);
}

/* Packed bits from an index that is not a multiple of 8. */
static void
shifted_tile(const uint8_t *packed, uint64_t first, size_t n, tile_bits *kept)
{
    const uint8_t *from = packed + first / 8;
    const unsigned shift = (unsigned)(first % 8);
    for (size_t i = 0; i < n; i += 64, from += 8) {
        const uint64_t word = fd_load_le64(from) >> shift | (uint64_t)from[8] << (64 - shift);
        fd_store_le64(kept->bits + i / 8, word);
    }
}

/* Runs along the last axis: copied where they lie side by side, filled where they are one. */
static void
broadcast_tile(const fd_broadcast *broadcast, const uint8_t *packed, uint64_t first, size_t n,
               tile_bits *kept)
{
    const int last = broadcast->ndim - 1;
    int64_t index[FD_MAX_DIMS], at = 0;
    for (int axis = last; axis >= 0; axis--) {
        index[axis] = (int64_t)(first % (uint64_t)broadcast->shape[axis]);
        first /= (uint64_t)broadcast->shape[axis];
        at += index[axis] * broadcast->stride[axis];
    }
    memset(kept, 0, sizeof *kept);
    for (size_t done = 0; done < n;) {
        const size_t left = (size_t)(broadcast->shape[last] - index[last]);
        const size_t run = fd_min(left, n - done);
        const size_t step = (size_t)broadcast->stride[last];
        const uint64_t one = bits_read(packed, (uint64_t)at) & 1;
        for (size_t i = 0; i < run; i += 56) {
            const size_t count = fd_min(56, run - i);
            const uint64_t bits = step ? bits_read(packed, (uint64_t)at + i) : (uint64_t)0 - one;
            bits_write(kept->bits, done + i, bits, count);
        }
        done += run;
        at += (int64_t)(run * step);
        index[last] += (int64_t)run;
        for (int axis = last; axis > 0 && index[axis] == broadcast->shape[axis]; axis--) {
            at += broadcast->stride[axis - 1] - index[axis] * broadcast->stride[axis];
            index[axis] = 0;
            index[axis - 1]++;
        }
    }
}

/* The kept bits of elements [first, first + n): in `tile`, or in the mask itself. */
static const uint8_t *
mask_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor, uint64_t first,
          size_t n, tile_bits *tile, prefetch soon)
{
    if (mask->packed == NULL) {
        seeded_tile(kernels, &mask->seeded, cursor, first, n, tile->bits, soon);
    } else if (mask->broadcast.ndim) {
        broadcast_tile(&mask->broadcast, mask->packed, first, n, tile);
    } else if (first % 8 == 0) {
        return mask->packed + first / 8;
    } else {
        shifted_tile(mask->packed, first, n, tile);
    }
    return tile->bits;
}

/* ---- apply ------------------------------------------------------------------------------ */

static const size_t number_size[FD_DTYPES] = {
    [FD_FLOAT16] = 2, [FD_BFLOAT16] = 2, [FD_FLOAT32] = 4, [FD_FLOAT64] = 8};

/* Elements before the first cache line of y that is written whole; 0 where there is none, or
 * where so few elements do not repay a tile of their own. */
static size_t
unaligned_head(const void *y, size_t size, size_t n)
{
    const size_t bytes = (size_t)(-(uintptr_t)y % 64);
    return n >= FD_TILE / 2 && bytes % size == 0 ? bytes / size : 0;
}

void
fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
              const void *x, void *y)
{
    fd_cursor fresh;
    if (cursor == NULL) {
        memset(&fresh, 0, sizeof fresh);
        cursor = &fresh;
    }
    const size_t components = (size_t)application->components;
    const size_t size = number_size[application->dtype] * components;
    tile_bits tile;
    uint8_t doubled[FD_TILE / 4 + 2];
    const size_t head = unaligned_head(y, size, n);
    const size_t most = application->past_caches ? TILE_PAST_CACHES : TILE_IN_CACHES;
    size_t count;
    for (size_t done = 0; done < n; done += count) {
        const char *from = (const char *)x + done * size;
        char *to = (char *)y + done * size;
        const prefetch soon = {from, application->past_caches ? 0 : 64 * size};
        count = done == 0 && head ? head : fd_min(most, n - done);
        const uint8_t *kept = mask_tile(application->kernels, application->mask, cursor,
                                        first + done, count, &tile, soon);
        if (components == 2) {
            bits_double(kept, count, doubled);
            kept = doubled;
        }
        const int past_caches = application->past_caches && (uintptr_t)to % 64 == 0;
        (past_caches ? application->kernels->apply_past_caches : application->kernels->apply)
            [application->dtype](kept, from, count * components, application->scale, to);
    }
}

/* ---- on threads ------------------------------------------------------------------------- */

/* Whole tiles for each task, as even as can be. The first starts at the caller's cursor, and the
 * cursor of the last becomes the caller's. */
typedef struct {
    size_t n, tasks;
    fd_cursor *cursor, start;
} division;

static division
divide(size_t n, size_t threads, fd_cursor *cursor)
{
    division parts = {n, fd_min(threads, n / ELEMENTS_A_THREAD), cursor, {.has_last = 0}};
    if (parts.tasks == 0) {
        parts.tasks = 1;
    }
    if (cursor != NULL) {
        parts.start = *cursor;
    }
    return parts;
}

static size_t
part_start(const division *parts, size_t index)
{
    const size_t tiles = (parts->n + FD_TILE - 1) / FD_TILE;
    const size_t each = tiles / parts->tasks, rest = tiles % parts->tasks;
    return fd_min(parts->n, (each * index + fd_min(rest, index)) * FD_TILE);
}

static fd_cursor
part_cursor(const division *parts, size_t index)
{
    static const fd_cursor empty;
    return index == 0 ? parts->start : empty;
}

static void
part_end(const division *parts, size_t index, const fd_cursor *cursor)
{
    if (index + 1 == parts->tasks && parts->cursor != NULL) {
        *parts->cursor = *cursor;
    }
}

typedef struct {
    division parts;
    const fd_application *application;
    const char *x;
    char *y;
} apply_call;

static void
apply_task(void *context, size_t index)
{
    const apply_call *call = (const apply_call *)context;
    const size_t first = part_start(&call->parts, index);
    const size_t end = part_start(&call->parts, index + 1);
    const size_t size =
        number_size[call->application->dtype] * (size_t)call->application->components;
    fd_cursor cursor = part_cursor(&call->parts, index);
    fd_apply_part(call->application, &cursor, first, end - first, call->x + first * size,
                  call->y + first * size);
    part_end(&call->parts, index, &cursor);
}

void
fd_apply(const fd_application *application, fd_cursor *cursor, size_t n, const void *x, void *y,
         size_t threads)
{
    apply_call call = {divide(n, threads, cursor), application, (const char *)x, (char *)y};
    fd_parallel(call.parts.tasks, apply_task, &call);
}

/* ---- draw ------------------------------------------------------------------------------- */

typedef struct {
    division parts;
    const fd_drawing *drawing;
} draw_call;

static void
draw_task(void *context, size_t index)
{
    const draw_call *call = (const draw_call *)context;
    const fd_drawing *drawing = call->drawing;
    const size_t end = part_start(&call->parts, index + 1);
    uint8_t *out = (uint8_t *)drawing->out;
    const prefetch nothing = {NULL, 0};
    fd_cursor cursor = part_cursor(&call->parts, index);
    tile_bits tile;
    for (size_t first = part_start(&call->parts, index); first < end; first += FD_TILE) {
        const size_t n = fd_min(FD_TILE, end - first), bytes = (n + 7) / 8;
        seeded_tile(drawing->kernels, drawing->seeded, &cursor, first, n, tile.bits, nothing);
        if (drawing->dropped) {
            for (size_t i = 0; i < bytes; i++) {
                tile.bits[i] = (uint8_t)~tile.bits[i];
            }
        }
        if (drawing->bytes) {
            drawing->kernels->unpack(tile.bits, n, out + first);
        } else {
            if (n % 8) {
                tile.bits[bytes - 1] &= (uint8_t)fd_low_bits(n % 8);
            }
            memcpy(out + first / 8, tile.bits, bytes);
        }
    }
    part_end(&call->parts, index, &cursor);
}

void
fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads)
{
    draw_call call = {divide(n, threads, cursor), drawing};
    fd_parallel(call.parts.tasks, draw_task, &call);
}
