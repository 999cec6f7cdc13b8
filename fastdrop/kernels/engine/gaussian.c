/* SPDX-License-Identifier: BSD-3-Clause */
#include "boxes.h"

/* The words of a tile take a small part of L1: more were slower. In other orders, elements of y that
 * are finished at once. */
enum { TILE = FD_READ_BYTES / 4, ROW = 64 };

/* The words of elements [first, first + n). */
static const uint8_t *
words_of_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, uint8_t *room)
{
    const fd_seeded *seeded = &job->mask->seeded;
    return fd_read(job->kernels, seeded, cursor, seeded->position + 4 * first, 4 * n, room);
}

/* The factors of elements [first, first + n), n <= TILE: in `made`, which is written in whole groups
 * of FD_NORMALS, or the stored ones. */
static const float *
factors_of_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, float *made)
{
    fd_read_bytes room;
    if (job->factors != NULL && job->mask->broadcast != NULL) {
        fd_spread(job->mask->broadcast, job->factors, first, n, made);
        return made;
    }
    if (job->factors != NULL) {
        return job->factors + first;
    }
    const uint8_t *words = words_of_tile(job, cursor, first, n, room.bytes);
    job->kernels->normal(words, n, job->deviation, made);
    return made;
}

/* y = x * factor, n <= TILE. */
static void
multiply_tile(const fd_job *job, const float *factors, size_t n, fd_arrays arrays)
{
    const size_t components = (size_t)job->components;
    FD_ALIGN64 float doubled[2 * TILE];
    if (components == 2) { /* one factor for both parts */
        for (size_t i = 0; i < n; i++) {
            doubled[2 * i] = doubled[2 * i + 1] = factors[i];
        }
        factors = doubled;
    }
    job->kernels->multiply[job->dtype](factors, arrays.x, n * components, arrays.y);
}

/* The elements [first, first + n) of one tile, n <= TILE, from factors. */
static void
multiply_factors(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays)
{
    FD_ALIGN64 float made[TILE];
    const float *factors = factors_of_tile(job, cursor, first, n, made);
    if (arrays.x == NULL) {
        memcpy(arrays.y, factors, n * sizeof *factors);
    } else {
        multiply_tile(job, factors, n, arrays);
    }
}

static void
multiply_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
              fd_watch watch)
{
    const size_t size = fd_element_size(job);
    const int from_words = job->factors == NULL && arrays.x != NULL && job->components == 1;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += TILE) {
        const size_t count = fd_min(TILE, (size_t)(end - first));
        const fd_arrays at = fd_arrays_at(arrays, first * size);
        if (from_words) {
            fd_read_bytes room;
            const uint8_t *words = words_of_tile(job, cursor, first, count, room.bytes);
            job->kernels->multiply_normal[job->dtype](words, job->deviation, at.x, count, at.y);
        } else {
            multiply_factors(job, cursor, first, count, at);
        }
    }
}

int
fd_multiply(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
            const fd_executor *executor)
{
    return fd_run_parts(multiply_part, job, cursor, n, arrays, executor);
}

/* ---- boxes ------------------------------------------------------------------------------ */

/* A word makes the same factor wherever it lies, so words are turned, and not what is made of them. */
static void
make_words(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, void *made)
{
    const uint8_t *words = words_of_tile(job, cursor, first, n, (uint8_t *)made);
    if (words != made) {
        memmove(made, words, 4 * n);
    }
}

static void
finish_words(const fd_job *job, uint64_t first, size_t n, fd_arrays arrays, const void *words)
{
    (void)first;
    if (job->components == 1) {
        job->kernels->multiply_normal[job->dtype]((const uint8_t *)words, job->deviation, arrays.x,
                                                  n, arrays.y);
    } else {
        FD_ALIGN64 float factors[TILE];
        job->kernels->normal((const uint8_t *)words, n, job->deviation, factors);
        multiply_tile(job, factors, n, arrays);
    }
}

static void
copy_factors(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, void *made)
{
    const float *factors = factors_of_tile(job, cursor, first, n, (float *)made);
    if (factors != made) {
        memcpy(made, factors, n * sizeof *factors);
    }
}

static void
finish_factors(const fd_job *job, uint64_t first, size_t n, fd_arrays arrays, const void *factors)
{
    (void)first;
    multiply_tile(job, (const float *)factors, n, arrays);
}

int
fd_multiply_boxes(const fd_job *job, fd_cursor *cursor, const fd_orders *orders, fd_arrays arrays,
                  const fd_executor *executor)
{
    const int stored = job->factors != NULL;
    const fd_box_work work = {job,
                              ROW,
                              TILE,
                              sizeof(float),
                              !stored,
                              stored ? copy_factors : make_words,
                              stored ? finish_factors : finish_words};
    return fd_run_boxes(&work, cursor, orders, arrays, executor);
}
