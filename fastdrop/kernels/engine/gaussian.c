/* SPDX-License-Identifier: BSD-3-Clause */
#include "gaussian.h"

/* The words of elements [first, first + n). */
static const uint8_t *
words_of_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_read_bytes *room)
{
    const fd_seeded *seeded = &job->mask->seeded;
    return fd_read(job->kernels, seeded, cursor, seeded->position + 4 * first, 4 * n, room);
}

const float *
fd_factors_of_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, float *made)
{
    fd_read_bytes room;
    if (job->factors != NULL && job->mask->broadcast != NULL) {
        fd_spread(job->mask->broadcast, job->factors, first, n, made);
        return made;
    }
    if (job->factors != NULL) {
        return job->factors + first;
    }
    const uint8_t *words = words_of_tile(job, cursor, first, n, &room);
    job->kernels->normal(words, n, job->deviation, made);
    return made;
}

void
fd_multiply_tile(const fd_job *job, const float *factors, size_t n, fd_arrays arrays)
{
    const size_t components = (size_t)job->components;
    FD_ALIGN64 float doubled[2 * FD_GAUSSIAN_TILE];
    if (components == 2) { /* one factor for both parts */
        for (size_t i = 0; i < n; i++) {
            doubled[2 * i] = doubled[2 * i + 1] = factors[i];
        }
        factors = doubled;
    }
    job->kernels->multiply[job->dtype](factors, arrays.x, n * components, arrays.y);
}

/* The elements [first, first + n) of one tile, n <= FD_GAUSSIAN_TILE, from factors. */
static void
multiply_factors(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays)
{
    FD_ALIGN64 float made[FD_GAUSSIAN_TILE];
    const float *factors = fd_factors_of_tile(job, cursor, first, n, made);
    if (arrays.x == NULL) {
        memcpy(arrays.y, factors, n * sizeof *factors);
    } else {
        fd_multiply_tile(job, factors, n, arrays);
    }
}

static void
multiply_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
              fd_watch watch)
{
    const size_t size = fd_element_size(job);
    const int from_words = job->factors == NULL && arrays.x != NULL && job->components == 1;
    for (const uint64_t end = first + n; first < end && !fd_stops(watch);
         first += FD_GAUSSIAN_TILE) {
        const size_t count = fd_min(FD_GAUSSIAN_TILE, (size_t)(end - first));
        const fd_arrays at = fd_arrays_at(arrays, first * size);
        if (from_words) {
            fd_read_bytes room;
            const uint8_t *words = words_of_tile(job, cursor, first, count, &room);
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
