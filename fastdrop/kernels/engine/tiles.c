/* SPDX-License-Identifier: BSD-3-Clause */
#include "tiles.h"

#include "threads.h"

/* Threads below this many elements each cost more than they save: waking a worker takes a few
 * microseconds, in which one thread decides about 40,000 elements. */
enum { ELEMENTS_A_THREAD = 1 << 16 };

/* Elements of a tile: few enough for x and y to stay in L1 with their bytes; or, where they come
 * from memory anyway, as many as there may be, since every tile interrupts the stream. */
enum { TILE_IN_CACHES = 4096, TILE_PAST_CACHES = FD_TILE };

/* Elements that are taken in ascending order: four blocks of the stream. */
enum { RUN = 4 * FD_BLOCK_STEPS * FD_STEP };

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
bits_place(uint8_t *to, uint64_t at, const uint8_t *bits, size_t count)
{
    const unsigned shift = (unsigned)(at % 8);
    uint64_t carry = 0;
    size_t i = 0;
    to += at / 8;
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = fd_load_le64(bits + i / 8);
        fd_store_le64(to + i / 8, fd_load_le64(to + i / 8) | word << shift | carry);
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

/* ---- broadcasting ----------------------------------------------------------------------- */

/* A walk over the elements of an array: runs along the last axis. `at` is where the next run starts
 * in what is broadcast, of which its elements are `step` apart: 1, or 0 where they share one. */
typedef struct {
    const fd_broadcast *broadcast;
    int64_t index[FD_MAX_DIMS], at;
    size_t step;
} run_walk;

static void
walk_start(run_walk *walk, const fd_broadcast *broadcast, uint64_t first)
{
    walk->broadcast = broadcast;
    walk->at = 0;
    walk->step = (size_t)broadcast->stride[broadcast->ndim - 1];
    for (int axis = broadcast->ndim - 1; axis >= 0; axis--) {
        walk->index[axis] = (int64_t)(first % (uint64_t)broadcast->shape[axis]);
        first /= (uint64_t)broadcast->shape[axis];
        walk->at += walk->index[axis] * broadcast->stride[axis];
    }
}

/* Elements of the run, at most `most`. */
static size_t
walk_run(const run_walk *walk, size_t most)
{
    const int last = walk->broadcast->ndim - 1;
    return fd_min((size_t)(walk->broadcast->shape[last] - walk->index[last]), most);
}

/* How often the run of that length is met in a row, within `most` elements; goes on to the last. */
static size_t
walk_repeats(run_walk *walk, size_t run, size_t most)
{
    const fd_broadcast *broadcast = walk->broadcast;
    const int last = broadcast->ndim - 1;
    if (last == 0 || broadcast->stride[last - 1] != 0 || run != (size_t)broadcast->shape[last]) {
        return 1;
    }
    const size_t rows = (size_t)(broadcast->shape[last - 1] - walk->index[last - 1]);
    const size_t repeats = fd_min(rows, most / run);
    walk->index[last - 1] += (int64_t)repeats - 1;
    return repeats;
}

static void
walk_on(run_walk *walk, size_t run)
{
    const fd_broadcast *broadcast = walk->broadcast;
    int axis = broadcast->ndim - 1;
    walk->at += (int64_t)(run * walk->step);
    walk->index[axis] += (int64_t)run;
    for (; axis > 0 && walk->index[axis] == broadcast->shape[axis]; axis--) {
        walk->at += broadcast->stride[axis - 1] - walk->index[axis] * broadcast->stride[axis];
        walk->index[axis] = 0;
        walk->index[axis - 1]++;
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
    kernels->decide[seeded->source](&seeded->identity, &cursor->lanes, seeded->position + first, n,
                                    threshold.value, &seeded->ties, kept, soon.from, soon.step);
}

/* Elements of a run below which the kernel is not worth its call. */
enum { SHORT_RUN = 32 };

static fd_threshold
threshold_of(const fd_probabilities *probabilities, double value)
{
    return probabilities->keeps ? fd_keep_threshold(value) : fd_drop_threshold(value);
}

/* The kept bits of n <= FD_TILE elements with one probability. */
static void
decide_alike(const fd_kernels *kernels, fd_threshold threshold, const fd_identity *ties,
             const uint8_t *bytes, size_t n, uint64_t position, uint8_t *kept)
{
    if (threshold.drops_all) {
        memset(kept, 0, (n + 63) / 64 * 8);
    } else {
        kernels->threshold(bytes, n, threshold.value, ties, position, kept);
    }
}

/* threshold / 2^56 is this or up to 1 more: greater bytes are kept and smaller ones dropped, and
 * only equal ones need the exact threshold, one in 256. */
static int
low_of(double value, int keeps)
{
    const int head = (int)(256.0 * value);
    return keeps ? 255 - head : head;
}

/* Eight bytes of 0 or 1 as bits. */
static uint64_t
bits_of_eight(const uint8_t *flags)
{
    return fd_load_le64(flags) * 0x0102040810204080u >> 56;
}

/* Which of eight bytes are greater than their `low`, and which are equal. */
static void
compare_eight(const double *values, int keeps, const uint8_t *bytes, uint64_t *greater,
              uint64_t *equal)
{
    int low[8];
    uint8_t above[8], same[8];
    for (int i = 0; i < 8; i++) {
        low[i] = low_of(values[i], keeps);
    }
    for (int i = 0; i < 8; i++) {
        above[i] = bytes[i] > low[i];
        same[i] = bytes[i] == low[i];
    }
    *greater = bits_of_eight(above);
    *equal = bits_of_eight(same);
}

/* The kept bits of n <= 56 elements, whose values are `step` apart. */
static uint64_t
decide_each(const fd_kernels *kernels, const fd_probabilities *probabilities, const double *values,
            size_t step, const fd_identity *ties, const uint8_t *bytes, size_t n,
            uint64_t position)
{
    uint64_t kept = 0, unclear = 0, one[FD_PADDING];
    size_t i = 0;
    for (; step == 1 && i + 8 <= n; i += 8) {
        uint64_t greater, equal;
        compare_eight(values + i, probabilities->keeps, bytes + i, &greater, &equal);
        kept |= greater << i;
        unclear |= equal << i;
    }
    for (; i < n; i++) {
        const int low = low_of(values[i * step], probabilities->keeps);
        kept |= (uint64_t)(bytes[i] > low) << i;
        unclear |= (uint64_t)(bytes[i] == low) << i;
    }
    for (; unclear; unclear &= unclear - 1) {
        const unsigned at = fd_lowest_bit(unclear);
        decide_alike(kernels, threshold_of(probabilities, values[at * step]), ties, bytes + at, 1,
                     position + at, (uint8_t *)one);
        kept |= (fd_load_le64((uint8_t *)one) & 1) << at;
    }
    return kept;
}

void
fd_decide(const fd_kernels *kernels, const fd_probabilities *probabilities,
          const fd_identity *ties, const uint8_t *bytes, uint64_t first, size_t n,
          uint64_t position, uint8_t *kept)
{
    tile_bits part;
    run_walk walk;
    walk_start(&walk, &probabilities->broadcast, first);
    memset(kept, 0, (n + 7) / 8 + FD_PADDING);
    for (size_t done = 0, run; done < n; done += run) {
        const double *values = probabilities->values + walk.at;
        run = walk_run(&walk, n - done);
        if (walk.step == 0 && run >= SHORT_RUN) {
            decide_alike(kernels, threshold_of(probabilities, *values), ties, bytes + done, run,
                         position + done, part.bits);
            bits_place(kept, done, part.bits, run);
        } else {
            run = fd_min(56, run);
            bits_write(kept, done, decide_each(kernels, probabilities, values, walk.step, ties,
                                               bytes + done, run, position + done), run);
        }
        walk_on(&walk, run);
    }
}

void
fd_drop_probabilities(const fd_probabilities *probabilities, uint64_t first, size_t n, double *p)
{
    run_walk walk;
    walk_start(&walk, &probabilities->broadcast, first);
    for (size_t done = 0, run; done < n; done += run) {
        run = walk_run(&walk, n - done);
        for (size_t i = 0; i < run; i++) {
            const double value = probabilities->values[walk.at + (int64_t)(i * walk.step)];
            p[done + i] = probabilities->keeps ? 1.0 - value : value;
        }
        walk_on(&walk, run);
    }
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
    fd_decide(drawing->kernels, drawing->probabilities, &seeded->ties, bytes, first, n, position,
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

/* Copies `count` bits, which are 0 so far; then repeats them from what is written, up to `n`. */
static void
bits_repeat(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count, size_t n)
{
    for (size_t done = 0, bits; done < n; done += bits) {
        if (done < count) {
            bits = fd_min(56, count - done);
            bits_write(to, at + done, bits_read(from, from_at + done), bits);
        } else {
            bits = fd_min(fd_min(56, n - done), done - done % count);
            bits_write(to, at + done, bits_read(to, at + done % count), bits);
        }
    }
}

/* Runs along the last axis, copied where they lie side by side and filled where they are one, and
 * repeated where the axis before has one decision. */
static void
broadcast_tile(const fd_broadcast *broadcast, const uint8_t *packed, uint64_t first, size_t n,
               tile_bits *kept)
{
    run_walk walk;
    walk_start(&walk, broadcast, first);
    memset(kept, 0, sizeof *kept);
    for (size_t done = 0, run; done < n; done += run) {
        const uint64_t at = (uint64_t)walk.at;
        const size_t length = walk_run(&walk, n - done);
        run = length * walk_repeats(&walk, length, n - done);
        if (walk.step != 0) {
            bits_repeat(kept->bits, done, packed, at, length, run);
        } else if (bits_read(packed, at) & 1) {
            bits_fill(kept->bits, done, run);
        }
        walk_on(&walk, length);
    }
}

/* The kept bits of elements [first, first + n): in `tile`, or, not to be written, in the mask. */
static uint8_t *
mask_tile(const fd_kernels *kernels, const fd_any_mask *mask, fd_cursor *cursor, uint64_t first,
          size_t n, tile_bits *tile, prefetch soon)
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
    const fd_arrays later = {arrays.x + bytes, arrays.other ? arrays.other + bytes : NULL,
                             arrays.y + bytes};
    return later;
}

/* The elements [first, first + n) of one tile, n <= FD_TILE. */
static void
apply_tile(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
           fd_arrays arrays)
{
    const size_t components = (size_t)application->components;
    const size_t size = number_size[application->dtype] * components;
    const prefetch soon = {arrays.x, application->past_caches ? 0 : 64 * size};
    const int past_caches = application->past_caches && (uintptr_t)arrays.y % 64 == 0;
    const fd_kernels *kernels = application->kernels;
    const fd_apply_kernel apply = (past_caches ? kernels->apply_past_caches : kernels->apply)
        [application->operation][application->dtype];
    fd_operands operands = {application->scale, application->shift, application->dropped,
                            arrays.other, NULL};
    tile_bits tile;
    uint8_t doubled[FD_TILE / 4 + 2];
    uint8_t *kept = mask_tile(kernels, application->mask, cursor, first, n, &tile, soon);
    if (components == 2) {
        bits_double(kept, n, doubled);
        kept = doubled;
    }
    if (application->bias != NULL) {
        operands.bias = application->bias + first % application->bias_period * size;
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
          fd_arrays arrays)
{
    const size_t size = number_size[application->dtype] * (size_t)application->components;
    const size_t head = unaligned_head(arrays.y, size, n);
    const size_t most = application->past_caches ? TILE_PAST_CACHES : TILE_IN_CACHES;
    size_t count;
    for (size_t done = 0; done < n; done += count) {
        count = done == 0 && head ? head : fd_min(most, n - done);
        apply_tile(application, cursor, first + done, count, arrays_at(arrays, done * size));
    }
}

/* Runs go from back to front. What was written last is in the caches: the end of x, if an
 * operation has just made it, and of each huge page of y, if the system has just cleared it (a new
 * array in memory: a third less time). And the front of y is left to the operation that comes
 * next. Runs start with blocks of the stream, whose lanes are seeded anyway. */
void
fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first, size_t n,
              fd_arrays arrays)
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
        apply_run(application, &own, first + start, end - start,
                  arrays_at(arrays, start * size));
        if (end == n) {
            last = own;
        }
        end = start;
    }
    *cursor = last;
    if (application->past_caches) {
        fd_store_fence();
    }
}

/* Words and factors of a tile take a small part of L1: larger ones were slower. */
enum { GAUSSIAN_TILE = FD_TILE / 16 };

/* The factors of elements [first, first + n): in `made`, or the stored ones. */
static const float *
gaussian_tile(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
              float *made)
{
    stream_bytes tile;
    if (gaussian->factors != NULL) {
        return gaussian->factors + first;
    }
    const uint64_t position = gaussian->seeded->position + 4 * first;
    const uint8_t *bytes =
        stream_tile(gaussian->kernels, gaussian->seeded, cursor, position, 4 * n, &tile);
    gaussian->kernels->normal(bytes, n, gaussian->deviation, made);
    return made;
}

void
fd_gaussian_part(const fd_gaussian *gaussian, fd_cursor *cursor, uint64_t first, size_t n,
                 fd_arrays arrays)
{
    const size_t components = (size_t)gaussian->components;
    const size_t size = number_size[gaussian->dtype] * components;
    FD_ALIGN64 float made[GAUSSIAN_TILE], doubled[2 * GAUSSIAN_TILE];
    size_t count;
    for (size_t done = 0; done < n; done += count) {
        count = fd_min(GAUSSIAN_TILE, n - done);
        const float *factors = gaussian_tile(gaussian, cursor, first + done, count, made);
        if (arrays.x == NULL) {
            memcpy(arrays.y + done * size, factors, count * size);
            continue;
        }
        if (components == 2) { /* one factor for both parts */
            for (size_t i = 0; i < count; i++) {
                doubled[2 * i] = doubled[2 * i + 1] = factors[i];
            }
            factors = doubled;
        }
        gaussian->kernels->multiply[gaussian->dtype](factors, arrays.x + done * size,
                                                     count * components, arrays.y + done * size);
    }
}

/* Writes out elements [first, first + n); `first` is a multiple of 8. */
static void
draw_part(const fd_drawing *drawing, fd_cursor *cursor, uint64_t first, size_t n)
{
    uint8_t *out = (uint8_t *)drawing->out;
    const prefetch nothing = {NULL, 0};
    tile_bits tile;
    for (const uint64_t end = first + n; first < end; first += FD_TILE) {
        const size_t count = fd_min(FD_TILE, (size_t)(end - first)), bytes = (count + 7) / 8;
        if (drawing->probabilities != NULL) {
            varying_tile(drawing, cursor, first, count, &tile);
        } else {
            seeded_tile(drawing->kernels, drawing->seeded, cursor, first, count, tile.bits,
                        nothing);
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
typedef void (*part_function)(const void *call, fd_cursor *cursor, uint64_t first, size_t n);

/* Whole tiles for each thread, as even as can be. The first part starts at the caller's cursor,
 * and where the last one ends becomes the caller's. */
typedef struct {
    part_function run;
    const void *call;
    size_t n, parts;
    fd_cursor start, *end;
} division;

static size_t
part_start(const division *whole, size_t index)
{
    const size_t tiles = (whole->n + FD_TILE - 1) / FD_TILE;
    const size_t each = tiles / whole->parts, rest = tiles % whole->parts;
    return fd_min(whole->n, (each * index + fd_min(rest, index)) * FD_TILE);
}

static void
run_part(void *context, size_t index)
{
    const division *whole = (const division *)context;
    const size_t first = part_start(whole, index), end = part_start(whole, index + 1);
    fd_cursor cursor = {.has_last = 0};
    if (index == 0) {
        cursor = whole->start;
    }
    whole->run(whole->call, &cursor, first, end - first);
    if (index + 1 == whole->parts) {
        *whole->end = cursor;
    }
}

static void
run_parts(part_function run, const void *call, fd_cursor *cursor, size_t n, size_t threads)
{
    const size_t parts = fd_min(threads, n / ELEMENTS_A_THREAD);
    if (parts < 2) {
        run(call, cursor, 0, n);
        return;
    }
    division whole = {run, call, n, parts, *cursor, cursor};
    fd_parallel(parts, run_part, &whole);
}

typedef struct {
    const fd_application *application;
    fd_arrays arrays;
} apply_call;

static void
apply_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n)
{
    const apply_call *call = (const apply_call *)context;
    const fd_application *application = call->application;
    const size_t size = number_size[application->dtype] * (size_t)application->components;
    fd_apply_part(application, cursor, first, n, arrays_at(call->arrays, first * size));
}

void
fd_apply(const fd_application *application, fd_cursor *cursor, size_t n, fd_arrays arrays,
         size_t threads)
{
    const apply_call call = {application, arrays};
    run_parts(apply_elements, &call, cursor, n, threads);
}

typedef struct {
    const fd_gaussian *gaussian;
    fd_arrays arrays;
} gaussian_call;

static void
gaussian_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n)
{
    const gaussian_call *call = (const gaussian_call *)context;
    const fd_gaussian *gaussian = call->gaussian;
    const size_t size = number_size[gaussian->dtype] * (size_t)gaussian->components;
    fd_arrays arrays = {call->arrays.x ? call->arrays.x + first * size : NULL, NULL,
                        call->arrays.y + first * size};
    fd_gaussian_part(gaussian, cursor, first, n, arrays);
}

void
fd_gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n, fd_arrays arrays,
                size_t threads)
{
    const gaussian_call call = {gaussian, arrays};
    run_parts(gaussian_elements, &call, cursor, n, threads);
}

static void
draw_elements(const void *context, fd_cursor *cursor, uint64_t first, size_t n)
{
    draw_part((const fd_drawing *)context, cursor, first, n);
}

void
fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads)
{
    run_parts(draw_elements, drawing, cursor, n, threads);
}
