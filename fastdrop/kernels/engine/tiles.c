/* SPDX-License-Identifier: BSD-3-Clause */
#include "tiles.h"

#include "threads.h"

/* Threads below this many elements each cost more than they save: waking a worker takes a few
 * microseconds, in which one thread decides about 40,000 elements. */
enum { ELEMENTS_A_THREAD = 1 << 16 };

/* Elements of a tile: few enough for what is prefetched of x to stay in L1 until it is applied;
 * fewer where there are factors too, which take the stack. */
enum { TILE = 4096, TILE_OF_FACTORS = 2048, BYTES_OF_FACTORS = 16384 };

/* Elements of x, and of what is added to it, that are prefetched for every 64 whose bits are made:
 * together the first three quarters of a tile. The rest comes while these are applied: to ask for
 * all costs up to a third of the whole time. From memory the fast sources would wait even for as
 * many. */
enum { PREFETCHED = 48, PREFETCHED_PAST_CACHES = 32 };

/* Elements that are taken in ascending order: four blocks of the stream. */
enum { RUN = 4 * FD_BLOCK_STEPS * FD_STEP };

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

/* Makes bits [at, at + count) that are 0 so far ones. */
static void
bits_fill(uint8_t *bits, size_t at, size_t count)
{
    const size_t before = fd_min((8 - at % 8) % 8, count), bytes = (count - before) / 8;
    bits[at / 8] |= (uint8_t)(fd_low_bits(before) << at % 8);
    memset(bits + (at + before) / 8, 0xFF, bytes);
    bits[(at + before) / 8 + bytes] |= (uint8_t)fd_low_bits((count - before) % 8);
}

/* Sets bits [at, at + count) that are 0 so far, and touches no byte but theirs. */
static void
bits_place(uint8_t *FD_RESTRICT to, uint64_t at, const uint8_t *FD_RESTRICT bits, size_t count)
{
    const unsigned shift = (unsigned)(at % 8);
    size_t i = 0;
    to += at / 8;
    uint64_t carry = count ? to[0] : 0;
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = fd_load_le64(bits + i / 8);
        fd_store_le64(to + i / 8, word << shift | carry);
        carry = word >> 1 >> (63 - shift);
    }
    for (; i < shift + count; i += 8) {
        carry |= i < count ? (uint64_t)bits[i / 8] << shift : 0;
        to[i / 8] |= (uint8_t)carry;
        carry >>= 8;
    }
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

/* ---- source: the bytes of one tile ------------------------------------------------------ */

/* Room for a tile that starts inside of a step, and for what is read past its end. */
typedef struct {
    FD_ALIGN64 uint8_t bytes[FD_TILE + 2 * FD_STEP];
} stream_bytes;

/* Bytes [position, position + n) of a stream, n <= FD_TILE. */
static const uint8_t *
stream_tile(const fd_kernels *kernels, const fd_seeded *stream, fd_cursor *cursor,
            uint64_t position, size_t n, stream_bytes *tile)
{
    uint8_t *bytes = tile->bytes;
    const uint64_t step = position / FD_STEP;
    const size_t skipped = (size_t)(position % FD_STEP);
    const size_t steps = (skipped + n + FD_STEP - 1) / FD_STEP;
    size_t known = 0;
    if (skipped && cursor->has_last && cursor->last_step == step) {
        memcpy(bytes, cursor->last, FD_STEP);
        known = 1;
    }
    kernels->fill[stream->source](&stream->identity, &cursor->lanes, step + known, steps - known,
                                  bytes + known * FD_STEP);
    memcpy(cursor->last, bytes + (steps - 1) * FD_STEP, FD_STEP);
    cursor->last_step = step + steps - 1;
    cursor->has_last = 1;
    return bytes + skipped;
}

/* ---- mask: the kept bits of one tile ---------------------------------------------------- */

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

/* Kept bits with a probability for each element. */
static void
varying_tile(const fd_drawing *drawing, fd_cursor *cursor, uint64_t first, size_t n,
             tile_bits *kept)
{
    stream_bytes tile;
    const fd_seeded *seeded = drawing->seeded;
    const uint64_t position = seeded->position + first;
    const uint8_t *bytes = stream_tile(drawing->kernels, seeded, cursor, position, n, &tile);
    fd_decide(drawing->kernels, drawing->each, &seeded->ties, bytes, first, n, position,
              kept->bits);
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

/* Bits [done, n) of a run: copies of the `count` that it starts with. */
static void
bits_go_on(uint8_t *to, size_t at, size_t count, size_t done, size_t n)
{
    for (size_t bits; done < n; done += bits) {
        bits = fd_min(fd_min(56, n - done), done - done % count);
        bits_write(to, at + done, bits_read(to, at + done % count), bits);
    }
}

/* A run of `n` bits, which are 0 so far: copies of `count` others. Where there are many, they are
 * repeated as bytes, from the first whole one on. */
static void
bits_repeat(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count, size_t n)
{
    const size_t part = (8 - at % 8) % 8;
    const size_t period = count % 8 == 0 ? count : count % 4 == 0 ? 2 * count : 8 * count;
    for (size_t done = 0, bits; done < count; done += bits) {
        bits = fd_min(56, count - done);
        bits_write(to, at + done, bits_read(from, from_at + done), bits);
    }
    if (n <= part + period) {
        bits_go_on(to, at, count, count, n);
        return;
    }
    const size_t bytes = (n - part) / 8;
    bits_go_on(to, at, count, count, part + period);
    fd_repeat(to + (at + part) / 8, period / 8, bytes);
    bits_go_on(to, at, count, part + 8 * bytes, n);
}

/* `count` bits, each of them `length` times, from bit `at` on; what is there is 0 so far. */
static void
bits_stretch(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count,
             size_t length)
{
    if (length > 64) {
        for (size_t i = 0; i < count; i++, at += length) {
            if (bits_read(from, from_at + i) & 1) {
                bits_fill(to, at, length);
            }
        }
        return;
    }
    size_t begun = at % 64; /* bits of the word that are there */
    uint64_t word = 0;
    to += at / 64 * 8;
    for (size_t i = 0; i < count; i++) {
        const uint64_t run = (0 - (bits_read(from, from_at + i) & 1)) & fd_low_bits(length);
        word |= run << begun;
        begun += length;
        if (begun >= 64) {
            begun -= 64;
            fd_store_le64(to, fd_load_le64(to) | word);
            to += 8;
            word = begun ? run >> (length - begun) : 0;
        }
    }
    if (begun) {
        fd_store_le64(to, fd_load_le64(to) | word);
    }
}

/* Runs along the last axis: copied where they lie side by side, and repeated where the axis before
 * has one decision; stretched where they are one. */
static void
broadcast_tile(const fd_broadcast *broadcast, const uint8_t *packed, uint64_t first, size_t n,
               tile_bits *kept)
{
    fd_walk walk;
    fd_walk_start(&walk, broadcast, first);
    memset(kept, 0, sizeof *kept);
    for (size_t done = 0, run; done < n; done += run) {
        const uint64_t at = (uint64_t)walk.at;
        const size_t length = fd_walk_run(&walk, n - done);
        const size_t rows = fd_walk_rows(&walk, length, walk.step ? 0 : 1, n - done);
        run = length * rows;
        if (walk.step) {
            bits_repeat(kept->bits, done, packed, at, length, run);
        } else {
            bits_stretch(kept->bits, done, packed, at, rows, length);
        }
        fd_walk_on(&walk, length);
    }
}

/* The kept bits of elements [first, first + n): in `tile`, or, not to be written, in the mask. */
static uint8_t *
mask_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor, uint64_t first,
          size_t n, tile_bits *tile, const fd_prefetch *soon)
{
    if (mask->packed == NULL) {
        seeded_tile(kernels, &mask->seeded, cursor, first, n, tile->bits, soon);
    } else if (mask->broadcast.ndim) {
        broadcast_tile(&mask->broadcast, mask->packed, first, n, tile);
    } else if (first % 8 == 0) {
        return (uint8_t *)mask->packed + first / 8;
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

static fd_arrays
arrays_at(fd_arrays arrays, size_t bytes)
{
    const fd_arrays later = {arrays.x ? arrays.x + bytes : NULL,
                             arrays.other ? arrays.other + bytes : NULL, arrays.y + bytes};
    return later;
}

static fd_prefetch
prefetch_of(const fd_application *application, fd_arrays arrays, size_t size)
{
    const fd_any_mask *mask = application->mask;
    const int fast = mask->packed == NULL && mask->seeded.source != FD_PHILOX4X32;
    const size_t elements = application->past_caches && fast ? PREFETCHED_PAST_CACHES : PREFETCHED;
    const fd_prefetch soon = {arrays.x, arrays.other, elements * size};
    return soon;
}

/* Elements of a tile of this application. */
static size_t
tile_of(const fd_application *application)
{
    const size_t size = application->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    if (application->operation != FD_SCALE_EACH) {
        return TILE;
    }
    return fd_min(TILE_OF_FACTORS, BYTES_OF_FACTORS / (size * (size_t)application->components));
}

/* The last step of a tile of FD_SCALE_EACH. */
FD_APART void
apply_factors(const fd_application *application, fd_apply_kernel apply, uint8_t *kept,
              fd_operands *operands, uint64_t first, size_t n, fd_arrays arrays)
{
    const size_t components = (size_t)application->components;
    FD_ALIGN64 char factors[BYTES_OF_FACTORS];
    fd_factors(application->kernels, application->each, application->dtype, components, first, n,
               factors);
    operands->factors = factors;
    apply(kept, arrays.x, operands, n * components, arrays.y);
}

/* The elements [first, first + n) of one tile, n <= tile_of(application). */
static void
apply_tile(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
           fd_arrays arrays)
{
    const size_t components = (size_t)application->components;
    const size_t size = number_size[application->dtype] * components;
    const int past_caches = application->past_caches && (uintptr_t)arrays.y % 64 == 0;
    const fd_kernels *kernels = application->kernels;
    const fd_apply_kernel apply =
        (past_caches ? kernels->apply_past_caches
                     : kernels->apply)[application->operation][application->dtype];
    fd_operands operands = {
        application->scale, application->shift, application->dropped, arrays.other, NULL, NULL};
    tile_bits tile;
    uint8_t doubled[FD_TILE / 4 + 2];
    const fd_prefetch soon = prefetch_of(application, arrays, size);
    uint8_t *kept = mask_tile(kernels, application->mask, cursor, first, n, &tile, &soon);
    if (components == 2) {
        bits_double(kept, n, doubled);
        kept = doubled;
    }
    if (application->bias != NULL) {
        operands.bias = application->bias + first % application->bias_period * size;
    }
    if (application->operation == FD_SCALE_EACH) {
        apply_factors(application, apply, kept, &operands, first, n, arrays);
        return;
    }
    if (application->operation == FD_RELU && kept != tile.bits) { /* a caller's bits stay */
        kept = (uint8_t *)memcpy(tile.bits, kept, (n + 7) / 8);
    }
    apply(kept, arrays.x, &operands, n * components, arrays.y);
    if (application->changed != NULL) {
        bits_place(application->changed, first, kept, n);
    }
}

static void
apply_run(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
          fd_arrays arrays, fd_watch watch)
{
    const size_t size = number_size[application->dtype] * (size_t)application->components;
    const size_t head = unaligned_head(arrays.y, size, n);
    const size_t most = tile_of(application);
    size_t count;
    for (size_t done = 0; done < n && !fd_stops(watch); done += count) {
        count = done == 0 && head ? head : fd_min(most, n - done);
        apply_tile(application, cursor, first + done, count, arrays_at(arrays, done * size));
    }
}

/* Past the caches runs go from back to front. What was written last is in the caches: the end of
 * x, if an operation has just made it, and of each huge page of y, if the system has just cleared
 * it (a new array: a third less time). And the front of y is left to the operation that comes next.
 * Runs start with blocks of the stream, whose lanes are seeded anyway. */
static void
apply_backwards(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
                fd_arrays arrays, fd_watch watch)
{
    const size_t size = number_size[application->dtype] * (size_t)application->components;
    const fd_any_mask *mask = application->mask;
    const uint64_t position = first + (mask->packed == NULL ? mask->seeded.position : 0);
    const size_t begun = (size_t)(position % RUN);
    fd_cursor last = *cursor;
    for (size_t end = n; end > 0;) {
        const size_t whole = (begun + end - 1) / RUN * RUN; /* the run's start, from its block's */
        const size_t start = whole > begun ? whole - begun : 0;
        fd_cursor own = {.has_last = 0};
        if (start == 0) {
            own = *cursor;
        }
        apply_run(application, &own, first + start, end - start, arrays_at(arrays, start * size),
                  watch);
        if (end == n) {
            last = own;
        }
        end = start;
    }
    *cursor = last;
    fd_store_fence();
}

static void
apply_watched(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
              fd_arrays arrays, fd_watch watch)
{
    if (application->past_caches) {
        apply_backwards(application, cursor, first, n, arrays, watch);
    } else {
        apply_run(application, cursor, first, n, arrays, watch);
    }
}

void
fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
              fd_arrays arrays)
{
    const fd_watch nobody = {NULL, 0};
    apply_watched(application, cursor, first, n, arrays, nobody);
}

/* The words of a tile take a small part of L1: more were slower. */
enum { GAUSSIAN_TILE = FD_TILE / 8 };

/* The words of elements [first, first + n). */
static const uint8_t *
gaussian_words(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
               stream_bytes *tile)
{
    const uint64_t position = gaussian->seeded->position + 4 * first;
    return stream_tile(gaussian->kernels, gaussian->seeded, cursor, position, 4 * n, tile);
}

/* Their factors: in `made`, or the stored ones. */
static const float *
gaussian_factors(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
                 float *made)
{
    stream_bytes tile;
    if (gaussian->factors != NULL) {
        return gaussian->factors + first;
    }
    const uint8_t *words = gaussian_words(gaussian, cursor, first, n, &tile);
    gaussian->kernels->normal(words, n, gaussian->deviation, made);
    return made;
}

/* The elements [first, first + n) of one tile, n <= GAUSSIAN_TILE, from factors. */
static void
multiply_tile(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
              fd_arrays arrays)
{
    const size_t components = (size_t)gaussian->components;
    FD_ALIGN64 float made[GAUSSIAN_TILE], doubled[2 * GAUSSIAN_TILE];
    const float *factors = gaussian_factors(gaussian, cursor, first, n, made);
    if (arrays.x == NULL) {
        memcpy(arrays.y, factors, n * sizeof *factors);
        return;
    }
    if (components == 2) { /* one factor for both parts */
        for (size_t i = 0; i < n; i++) {
            doubled[2 * i] = doubled[2 * i + 1] = factors[i];
        }
        factors = doubled;
    }
    gaussian->kernels->multiply[gaussian->dtype](factors, arrays.x, n * components, arrays.y);
}

static void
gaussian_part(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
              fd_arrays arrays, fd_watch watch)
{
    const size_t size = number_size[gaussian->dtype] * (size_t)gaussian->components;
    const int from_words =
        gaussian->factors == NULL && arrays.x != NULL && gaussian->components == 1;
    size_t count;
    for (size_t done = 0; done < n && !fd_stops(watch); done += count) {
        count = fd_min(GAUSSIAN_TILE, n - done);
        const fd_arrays at = arrays_at(arrays, done * size);
        if (from_words) {
            stream_bytes tile;
            const uint8_t *words = gaussian_words(gaussian, cursor, first + done, count, &tile);
            gaussian->kernels->multiply_normal[gaussian->dtype](words, gaussian->deviation, at.x,
                                                                count, at.y);
        } else {
            multiply_tile(gaussian, cursor, first + done, count, at);
        }
    }
}

/* Writes out elements [first, first + n); `first` is a multiple of 8. */
static void
draw_part(const fd_drawing *drawing, fd_cursor *cursor, uint64_t first, size_t n, fd_watch watch)
{
    uint8_t *out = (uint8_t *)drawing->out;
    tile_bits tile;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += FD_TILE) {
        const size_t count = fd_min(FD_TILE, (size_t)(end - first)), bytes = (count + 7) / 8;
        if (drawing->each != NULL) {
            varying_tile(drawing, cursor, first, count, &tile);
        } else {
            seeded_tile(drawing->kernels, drawing->seeded, cursor, first, count, tile.bits, NULL);
        }
        if (drawing->dropped) {
            for (size_t i = 0; i < bytes; i++) {
                tile.bits[i] = (uint8_t)~tile.bits[i];
            }
        }
        if (drawing->bytes) {
            drawing->kernels->unpack(tile.bits, count, out + first);
        } else {
            if (count % 8) {
                tile.bits[bytes - 1] &= (uint8_t)fd_low_bits(count % 8);
            }
            memcpy(out + first / 8, tile.bits, bytes);
        }
    }
}

/* ---- on threads ------------------------------------------------------------------------- */

/* What each thread does to its own elements [first, first + n). */
typedef void (*part_function)(const void *call, fd_cursor *cursor, uint64_t first, size_t n,
                              fd_watch watch);

/* Whole tiles for each thread, as even as can be. The first part starts at the caller's cursor,
 * and where the last one ends becomes the caller's. */
typedef struct {
    part_function run;
    const void *call;
    size_t n, parts;
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

static size_t
part_start(const division *whole, size_t index)
{
    const size_t tiles = (whole->n + FD_TILE - 1) / FD_TILE;
    const size_t each = tiles / whole->parts, rest = tiles % whole->parts;
    return fd_min(whole->n, (each * index + fd_min(rest, index)) * FD_TILE);
}

static void
run_part(void *context, size_t index, int by_caller)
{
    const division *whole = (const division *)context;
    const size_t first = part_start(whole, index), end = part_start(whole, index + 1);
    fd_cursor cursor = {.has_last = 0};
    const fd_watch watch = {whole->interrupt, by_caller};
    if (index == 0) {
        cursor = whole->start;
    }
    whole->run(whole->call, &cursor, first, end - first, watch);
    if (index + 1 == whole->parts) {
        *whole->end = cursor;
    }
}

static int
run_parts(part_function run, const void *call, fd_cursor *cursor, size_t n, size_t threads,
          fd_interrupt *interrupt)
{
    const size_t parts = fd_min(threads, n / ELEMENTS_A_THREAD);
    if (parts < 2) {
        const fd_watch watch = {interrupt, 1};
        run(call, cursor, 0, n, watch);
    } else {
        division whole = {run, call, n, parts, *cursor, cursor, interrupt};
        fd_parallel(parts, run_part, &whole, interrupt);
    }
    return interrupt != NULL && interrupt->stopped;
}

typedef struct {
    const fd_application *application;
    fd_arrays arrays;
} apply_call;

static void
apply_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n, fd_watch watch)
{
    const apply_call *call = (const apply_call *)context;
    const fd_application *application = call->application;
    const size_t size = number_size[application->dtype] * (size_t)application->components;
    apply_watched(application, cursor, first, n, arrays_at(call->arrays, first * size), watch);
}

int
fd_apply(const fd_application *application, fd_cursor *cursor, size_t n, fd_arrays arrays,
         size_t threads, fd_interrupt *interrupt)
{
    const apply_call call = {application, arrays};
    return run_parts(apply_elements, &call, cursor, n, threads, interrupt);
}

typedef struct {
    const fd_gaussian *gaussian;
    fd_arrays arrays;
} gaussian_call;

static void
gaussian_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n, fd_watch watch)
{
    const gaussian_call *call = (const gaussian_call *)context;
    const fd_gaussian *gaussian = call->gaussian;
    const size_t size = number_size[gaussian->dtype] * (size_t)gaussian->components;
    gaussian_part(gaussian, cursor, first, n, arrays_at(call->arrays, first * size), watch);
}

int
fd_gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n, fd_arrays arrays,
                size_t threads, fd_interrupt *interrupt)
{
    const gaussian_call call = {gaussian, arrays};
    return run_parts(gaussian_elements, &call, cursor, n, threads, interrupt);
}

static void
draw_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n, fd_watch watch)
{
    draw_part((const fd_drawing *)context, cursor, first, n, watch);
}

int
fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads,
        fd_interrupt *interrupt)
{
    return run_parts(draw_elements, drawing, cursor, n, threads, interrupt);
}
