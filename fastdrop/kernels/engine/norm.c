/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "norm.h"

/* Rows are shared out in chunks, whose sums over rows are added up in one order at the end: so many
 * chunks at most, each of so many elements at least. */
enum { MOST_CHUNKS = 64, LEAST_OF_CHUNK = 1 << 15 };

/* Elements whose bits are made at once, and of them those that are prefetched for every 64. */
enum { TILE = 4096, PREFETCHED = 48 };

enum { SUMS = 3 }; /* dweight, dbias, dlinear_bias */

typedef struct {
    const fd_norm *norm;
    int backward;
    size_t chunks, rows_of_chunk, parts;
    size_t padded; /* bytes of a row of numbers */
    size_t bits;   /* bytes of the bits of a tile, or of a row that is longer */
    const char *weight, *bias, *linear_bias; /* padded */
    char *sums, *scratch;                    /* of each chunk, of each part */
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

/* What one worker has. */
typedef struct {
    char *numbers, *gradients;
    uint8_t *bits;
    fd_tile_bits tile;
} workspace;

static size_t
number_size(const fd_norm *norm)
{
    return norm->dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
}

static size_t
rounded_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static size_t
scratch_of_part(const division *whole)
{
    return 2 * whole->padded + whole->bits;
}

static division
divide(const fd_norm *norm, int backward, const fd_executor *executor)
{
    division whole = {.norm = norm, .backward = backward};
    const size_t least = LEAST_OF_CHUNK / norm->width + 1;
    const size_t rows = (norm->rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    whole.rows_of_chunk = rows > least ? rows : least;
    whole.chunks = (norm->rows + whole.rows_of_chunk - 1) / whole.rows_of_chunk;
    whole.parts = fd_min(fd_workers(executor, norm->rows * norm->width), whole.chunks);
    whole.padded = rounded_up(norm->width, FD_NORM_GROUP) * number_size(norm);
    whole.bits = rounded_up((norm->width > TILE ? norm->width : 0) / 8 + 2 * FD_PADDING, 64);
    return whole;
}

size_t
fd_norm_room(const fd_norm *norm, int backward, const fd_executor *executor)
{
    const division whole = divide(norm, backward, executor);
    const size_t sums = backward ? whole.chunks * SUMS * whole.padded : 0;
    return 64 + 3 * whole.padded + sums + whole.parts * scratch_of_part(&whole);
}

static const char *
padded_copy(const division *whole, const void *numbers, char **room)
{
    char *copy = *room;
    if (numbers == NULL) {
        return NULL;
    }
    memcpy(copy, numbers, whole->norm->width * number_size(whole->norm));
    *room += whole->padded;
    return copy;
}

static void
lay_out(division *whole, char *room)
{
    const fd_norm *norm = whole->norm;
    room += (size_t)(-(uintptr_t)room % 64);
    whole->weight = padded_copy(whole, norm->weight, &room);
    whole->bias = padded_copy(whole, norm->bias, &room);
    whole->linear_bias = padded_copy(whole, norm->linear_bias, &room);
    whole->sums = room;
    whole->scratch = room + (whole->backward ? whole->chunks * SUMS * whole->padded : 0);
}

static const char *
row_at(const char *array, const fd_norm *norm, size_t row)
{
    return array == NULL ? NULL : array + row * norm->width * fd_number_size(norm->dtype);
}

/* Where a row of x is in the arrays that have another order. */
static size_t
place_of(const fd_norm *norm, size_t row)
{
    const size_t inner = norm->inner;
    return inner == 0 ? row : row % inner * (norm->rows / inner) + row / inner;
}

/* The kept bits of `count` rows: more than one only if they fit into a tile. */
static const uint8_t *
bits_of_rows(const division *whole, fd_cursor *cursor, size_t row, size_t count, workspace *work)
{
    const fd_norm *norm = whole->norm;
    const size_t n = count * norm->width, size = fd_number_size(norm->dtype);
    const size_t place = place_of(norm, row);
    const char *first =
        whole->backward ? row_at(norm->dy, norm, place) : row_at(norm->x, norm, row);
    const fd_prefetch soon = {first, row_at(norm->residual, norm, place), PREFETCHED * size};
    if (norm->mask == NULL) {
        uint8_t *all = n <= TILE ? work->tile.bits : work->bits;
        memset(all, 0xFF, n / 8 + FD_PADDING);
        return all;
    }
    if (n <= TILE) {
        return fd_decide_tile(norm->kernels, norm->mask, cursor, row * norm->width, n, &work->tile,
                              first == NULL ? NULL : &soon);
    }
    for (size_t done = 0; done < n; done += TILE) {
        const size_t more = fd_min(TILE, n - done);
        const uint8_t *kept = fd_decide_tile(norm->kernels, norm->mask, cursor,
                                             row * norm->width + done, more, &work->tile, NULL);
        memcpy(work->bits + done / 8, kept, (more + 7) / 8);
    }
    return work->bits;
}

/* Makes the sums of a row, and what its norm is made of. */
static fd_norm_row
join_row(const division *whole, const uint8_t *kept, size_t at, size_t row, workspace *work)
{
    const fd_norm *norm = whole->norm;
    fd_norm_row of = {0};
    norm->kernels->norm_join[norm->dtype](
        kept, at, row_at(norm->x, norm, row), row_at(norm->residual, norm, place_of(norm, row)),
        whole->linear_bias, norm->scale, norm->width, work->numbers);
    norm->kernels->norm_moments[norm->dtype](work->numbers, norm->width, norm->centered, &of);
    of.inverse = 1.0 / sqrt(of.variance + norm->eps); /* rounded, where it is used */
    return of;
}

static void
forward_row(const division *whole, const uint8_t *kept, size_t at, size_t row, workspace *work)
{
    const fd_norm *norm = whole->norm;
    const fd_norm_row of = join_row(whole, kept, at, row, work);
    const size_t place = place_of(norm, row);
    if (norm->sum != NULL) {
        norm->kernels->round[norm->dtype](work->numbers, norm->width,
                                          (char *)row_at(norm->sum, norm, place));
    }
    norm->kernels->norm_scale[norm->dtype](work->numbers, norm->width, &of, whole->weight,
                                           whole->bias, (char *)row_at(norm->y, norm, place));
}

static void
backward_row(const division *whole, const uint8_t *kept, size_t at, size_t row, char *sums,
             workspace *work)
{
    const fd_norm *norm = whole->norm;
    const size_t n = norm->width, padded = whole->padded, place = place_of(norm, row);
    fd_norm_row of = join_row(whole, kept, at, row, work);
    norm->kernels->norm_products[norm->dtype](
        work->numbers, row_at(norm->dy, norm, place), n, whole->weight, work->gradients,
        norm->dweight == NULL ? NULL : sums, norm->dbias == NULL ? NULL : sums + padded, &of);
    of.sum = norm->centered ? of.sum : 0.0;
    norm->kernels->norm_backward[norm->dtype](
        kept, at, work->numbers, work->gradients, row_at(norm->dsum, norm, place), norm->scale, n,
        &of, (char *)row_at(norm->dresidual, norm, place), (char *)row_at(norm->dx, norm, row),
        norm->dlinear_bias == NULL ? NULL : sums + 2 * padded);
}

static void
run_chunk(const division *whole, size_t chunk, fd_cursor *cursor, workspace *work, fd_watch watch)
{
    const fd_norm *norm = whole->norm;
    const size_t most = norm->width < TILE ? TILE / norm->width : 1;
    const size_t tiles = 1 + norm->width / TILE; /* of a row or, at most, of several short ones */
    const size_t end = fd_min(norm->rows, (chunk + 1) * whole->rows_of_chunk);
    char *sums = whole->sums + chunk * SUMS * whole->padded;
    for (size_t row = chunk * whole->rows_of_chunk, count; row < end; row += count) {
        const uint8_t *kept;
        count = fd_min(most, end - row);
        if (fd_stops_before(watch, tiles)) {
            return;
        }
        kept = bits_of_rows(whole, cursor, row, count, work);
        for (size_t i = 0; i < count; i++) {
            if (whole->backward) {
                backward_row(whole, kept, i * norm->width, row + i, sums, work);
            } else {
                forward_row(whole, kept, i * norm->width, row + i, work);
            }
        }
    }
}

static void
run_part(void *context, size_t index, size_t worker)
{
    const division *whole = (const division *)context;
    const size_t first = whole->chunks * index / whole->parts;
    const size_t end = whole->chunks * (index + 1) / whole->parts;
    char *scratch = whole->scratch + index * scratch_of_part(whole);
    workspace work;
    fd_cursor cursor = {.has_last = 0};
    const fd_watch watch = {whole->interrupt, worker == 0};
    memset(scratch, 0, scratch_of_part(whole));
    work.numbers = scratch;
    work.gradients = scratch + whole->padded;
    work.bits = (uint8_t *)scratch + 2 * whole->padded;
    if (index == 0) {
        cursor = whole->start;
    }
    for (size_t chunk = first; chunk < end; chunk++) {
        if (whole->backward) {
            memset(whole->sums + chunk * SUMS * whole->padded, 0, SUMS * whole->padded);
        }
        run_chunk(whole, chunk, &cursor, &work, watch);
    }
    if (index + 1 == whole->parts) {
        *whole->end = cursor;
    }
}

/* to[i] += from[i]. */
static void
add_numbers(const fd_norm *norm, char *to, const char *from, size_t n)
{
    if (norm->dtype == FD_FLOAT64) {
        double *sum = (double *)(void *)to;
        const double *more = (const double *)(const void *)from;
        for (size_t i = 0; i < n; i++) {
            sum[i] += more[i];
        }
    } else {
        float *sum = (float *)(void *)to;
        const float *more = (const float *)(const void *)from;
        for (size_t i = 0; i < n; i++) {
            sum[i] += more[i];
        }
    }
}

/* The sums of all chunks: neighbours first, then these. */
static void
add_chunks(const division *whole)
{
    const fd_norm *norm = whole->norm;
    const size_t stride = SUMS * whole->padded, bytes = norm->width * number_size(norm);
    void *const results[SUMS] = {norm->dweight, norm->dbias, norm->dlinear_bias};
    for (size_t which = 0; which < SUMS; which++) {
        char *sums = whole->sums + which * whole->padded;
        if (results[which] == NULL) {
            continue;
        }
        for (size_t step = 1; step < whole->chunks; step *= 2) {
            for (size_t chunk = 0; chunk + step < whole->chunks; chunk += 2 * step) {
                add_numbers(norm, sums + chunk * stride, sums + (chunk + step) * stride,
                            norm->width);
            }
        }
        memcpy(results[which], sums, bytes);
    }
}

int
fd_norm_rows(const fd_norm *norm, int backward, fd_cursor *cursor, char *room,
             const fd_executor *executor)
{
    fd_interrupt own;
    division whole = divide(norm, backward, executor);
    memset(room, 0, 64 + 3 * whole.padded);
    lay_out(&whole, room);
    whole.start = *cursor;
    whole.end = cursor;
    whole.interrupt = fd_interrupt_of(&own, norm->rows * norm->width, executor->ask);
    fd_run_tasks(executor, whole.parts, whole.parts, run_part, &whole, whole.interrupt);
    if (fd_stopped(whole.interrupt)) {
        return -1;
    }
    if (backward) {
        add_chunks(&whole);
    }
    return 0;
}
