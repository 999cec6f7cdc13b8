/* SPDX-License-Identifier: BSD-3-Clause */
#include "boxes.h"
#include "sources.h"

/* Elements of a tile: few enough for what is prefetched of x to stay in L1 until it is applied;
 * fewer where each element has a number of its own, made for the tile, which takes the stack. */
enum { TILE = 4096, TILE_OF_NUMBERS = 2048, BYTES_OF_NUMBERS = 16384 };

/* Elements of x, and of what is added to it, that are prefetched for every 64 whose bits are made:
 * together the first three quarters of a tile. The rest comes while these are applied: to ask for
 * all costs up to a third of the whole time. Past the caches each source has a number of its own. */
enum { PREFETCHED = 48 };

/* Elements of y that are finished at once, of arrays in other orders: as many as repay a call. */
enum { ROW = 128 };

/* Elements that are taken in ascending order, in one sweep: four blocks of the stream. */
enum { SWEEP = 4 * FD_BLOCK_STEPS * FD_STEP };

/* Elements before the first cache line of y that is written whole; 0 where there is none, or
 * where so few elements do not repay a tile of their own. */
static size_t
unaligned_elements(const void *y, size_t size, size_t n)
{
    const size_t bytes = (size_t)(-(uintptr_t)y % 64);
    return n >= FD_TILE / 2 && bytes % size == 0 ? bytes / size : 0;
}

static fd_prefetch
prefetch_of(const fd_job *job, fd_arrays arrays, size_t size)
{
    const fd_any_mask *mask = job->mask;
    const size_t elements = job->past_caches && mask->packed == NULL
                                ? fd_sources[mask->seeded.source].prefetched_past_caches
                                : PREFETCHED;
    const fd_prefetch soon = {arrays.x, arrays.other, elements * size};
    return soon;
}

/* Whether numbers are made for each tile: factors, or a bias along another axis than the last. */
static int
makes_numbers(const fd_job *job)
{
    return job->operation == FD_SCALE_EACH || job->bias_repeats > 1;
}

static int
writes_bits(const fd_job *job)
{
    return job->operation == FD_RELU || job->operation == FD_RELU_BIAS;
}

/* Elements of a tile of this job. */
static size_t
tile_of(const fd_job *job)
{
    const size_t size = job->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    if (!makes_numbers(job)) {
        return TILE;
    }
    return fd_min(TILE_OF_NUMBERS, BYTES_OF_NUMBERS / (size * (size_t)job->components));
}

/* The bias of elements [first, first + n), of which `bias_repeats` in a row share a number. The
 * next number overwrites what the one before it has written too many. */
static void
repeat_bias(const fd_job *job, uint64_t first, size_t n, char *to)
{
    const size_t size = fd_element_size(job);
    uint64_t index = first / job->bias_repeats % job->bias_period;
    size_t skipped = (size_t)(first % job->bias_repeats);
    for (size_t done = 0, count; done < n; done += count) {
        count = fd_min((size_t)job->bias_repeats - skipped, n - done);
        fd_fill_groups(to + done * size, job->bias + index * size, size, count);
        index = index + 1 < job->bias_period ? index + 1 : 0;
        skipped = 0;
    }
}

/* The last step of a tile for which numbers are made. */
FD_APART void
apply_numbers(const fd_job *job, fd_apply_kernel apply, uint8_t *kept, fd_operands *operands,
              uint64_t first, size_t n, fd_arrays arrays)
{
    const size_t components = (size_t)job->components;
    FD_ALIGN64 char made[BYTES_OF_NUMBERS + 64];
    if (job->operation == FD_SCALE_EACH) {
        fd_factors(job->kernels, job->each, job->dtype, components, first, n, made);
        operands->factors = made;
    } else {
        repeat_bias(job, first, n, made);
        operands->bias = made;
    }
    apply(kept, arrays.x, operands, n * components, arrays.y);
}

/* The same of an array of factors, one for each element. */
FD_APART void
apply_factors(const fd_job *job, fd_apply_kernel apply, uint8_t *kept, fd_operands *operands,
              size_t n, fd_arrays arrays, const void *factors)
{
    const size_t components = (size_t)job->components;
    FD_ALIGN64 char doubled[BYTES_OF_NUMBERS];
    operands->factors = factors;
    if (components == 2) { /* one for both parts */
        fd_double(factors, job->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float), n, doubled);
        operands->factors = doubled;
    }
    apply(kept, arrays.x, operands, n * components, arrays.y);
}

/* The elements [first, first + n) of one tile, n <= tile_of(job). Their factors are `factors`, where
 * that is not NULL. */
static void
apply_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
           const void *factors)
{
    const size_t components = (size_t)job->components;
    const size_t size = fd_element_size(job);
    const int past_caches = job->past_caches && (uintptr_t)arrays.y % 64 == 0;
    const fd_kernels *kernels = job->kernels;
    const fd_apply_kernel apply =
        (past_caches ? kernels->apply_past_caches : kernels->apply)[job->operation][job->dtype];
    fd_operands operands = {job->scale, job->shift, job->dropped, arrays.other, NULL, NULL};
    fd_tile_bits tile;
    uint8_t doubled[FD_TILE / 4 + 2];
    const fd_prefetch soon = prefetch_of(job, arrays, size);
    uint8_t *kept = fd_decide_tile(kernels, job->mask, cursor, first, n, &tile, &soon);
    if (components == 2) {
        fd_bits_double(kept, n, doubled);
        kept = doubled;
    }
    if (writes_bits(job) && kept != tile.bits) { /* a caller's bits stay */
        kept = (uint8_t *)memcpy(tile.bits, kept, (n + 7) / 8);
    }
    if (factors != NULL) {
        apply_factors(job, apply, kept, &operands, n, arrays, factors);
    } else if (makes_numbers(job)) {
        apply_numbers(job, apply, kept, &operands, first, n, arrays);
    } else {
        if (job->bias != NULL) {
            operands.bias = job->bias + first % job->bias_period * size;
        }
        apply(kept, arrays.x, &operands, n * components, arrays.y);
    }
    if (job->changed != NULL) {
        fd_bits_place(job->changed, first, kept, n);
    }
}

static void
apply_sweep(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
            fd_watch watch)
{
    const size_t size = fd_element_size(job);
    const size_t unaligned = unaligned_elements(arrays.y, size, n);
    const size_t most = tile_of(job);
    size_t count;
    for (size_t done = 0; done < n && !fd_stops(watch); done += count) {
        count = done == 0 && unaligned ? unaligned : fd_min(most, n - done);
        apply_tile(job, cursor, first + done, count, fd_arrays_at(arrays, done * size), NULL);
    }
}

/* Past the caches sweeps go from back to front. What was written last is in the caches: the end of x
 * if an operation has just made it, and the end of each huge page of y if the system has just cleared
 * it (a new array takes a third less time). The front of y is left in the caches for the operation
 * that comes next. A sweep starts with a block of the stream, whose lanes are seeded anyway. */
static void
apply_backwards(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
                fd_watch watch)
{
    const size_t size = fd_element_size(job);
    const fd_any_mask *mask = job->mask;
    const uint64_t position = first + (mask->packed == NULL ? mask->seeded.position : 0);
    const size_t begun = (size_t)(position % SWEEP);
    fd_cursor last = *cursor;
    for (size_t end = n; end > 0;) {
        const size_t whole =
            (begun + end - 1) / SWEEP * SWEEP; /* the sweep's start, from its block's */
        const size_t start = whole > begun ? whole - begun : 0;
        fd_cursor own = {.has_last = 0};
        if (start == 0) {
            own = *cursor;
        }
        apply_sweep(job, &own, first + start, end - start, fd_arrays_at(arrays, start * size),
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
apply_watched(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
              fd_watch watch)
{
    if (job->past_caches) {
        apply_backwards(job, cursor, first, n, arrays, watch);
    } else {
        apply_sweep(job, cursor, first, n, arrays, watch);
    }
}

void
fd_apply_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays)
{
    const fd_watch nobody = {NULL, 0};
    apply_watched(job, cursor, first, n, arrays, nobody);
}

static void
apply_share(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
            fd_watch watch)
{
    apply_watched(job, cursor, first, n, fd_arrays_at(arrays, first * fd_element_size(job)), watch);
}

int
fd_apply(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
         const fd_executor *executor)
{
    return fd_run_parts(apply_share, job, cursor, n, arrays, executor);
}

/* ---- boxes ------------------------------------------------------------------------------ */

static void
make_factors(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, void *made)
{
    (void)cursor;
    fd_factors(job->kernels, job->each, job->dtype, 1, first, n, made);
}

static void
finish_tile(const fd_job *job, uint64_t first, size_t n, fd_arrays arrays, const void *factors)
{
    fd_cursor unused = {.has_last = 0};
    apply_tile(job, &unused, first, n, arrays, factors);
}

int
fd_apply_boxes(const fd_job *job, const fd_orders *orders, fd_arrays arrays,
               const fd_executor *executor)
{
    fd_cursor unused = {.has_last = 0};
    fd_box_work work = {job, ROW, tile_of(job), 0, 0, make_factors, finish_tile};
    if (job->each_by_index) {
        work.number = job->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    }
    return fd_run_boxes(&work, &unused, orders, arrays, executor);
}
