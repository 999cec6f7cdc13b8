/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"

/* The numbers of a tile as float64, and ones of the dtype of y. */
typedef struct {
    FD_ALIGN64 double values[FD_READ_BYTES], ones[FD_READ_BYTES];
} bernoulli_room;

static void
fill_ones(fd_dtype dtype, double *ones, size_t n)
{
    const float single = 1.0f;
    const double number = 1.0;
    if (fd_number_size(dtype) == 2) {
        uint16_t *halves = (uint16_t *)ones;
        for (size_t i = 0; i < n; i++) {
            halves[i] = dtype == FD_FLOAT16 ? 0x3C00 : 0x3F80; /* 1 in float16 and bfloat16 */
        }
    } else if (dtype == FD_FLOAT32) {
        fd_fill(ones, &single, sizeof single, n);
    } else {
        fd_fill(ones, &number, sizeof number, n);
    }
}

/* Elements [first, first + n) of one tile. */
static void
draw_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
          bernoulli_room *room)
{
    const fd_seeded *seeded = &job->mask->seeded;
    const uint64_t position = seeded->position + first;
    fd_numbers each = {.meaning = FD_KEEP_PROB, .broadcast = {.ndim = 1}};
    const fd_operands operands = {.scale = 1.0};
    fd_read_bytes bytes;
    FD_ALIGN64 uint8_t kept[FD_READ_BYTES / 8 + FD_PADDING];
    const uint8_t *read = fd_read(job->kernels, seeded, cursor, position, n, bytes.bytes);
    each.broadcast.shape[0] = (int64_t)n;
    each.broadcast.stride[0] = 1;
    each.values = (const double *)arrays.x + first;
    if (job->dtype_of_p == FD_FLOAT32) {
        const float *from = (const float *)arrays.x + first;
        for (size_t i = 0; i < n; i++) {
            room->values[i] = from[i];
        }
        each.values = room->values;
    }
    fd_decide(job->kernels, &each, &seeded->ties, read, 0, n, position, kept);
    if (job->as_bytes) {
        job->kernels->unpack(kept, n, (uint8_t *)arrays.y + first);
    } else {
        job->kernels->apply[FD_SCALE][job->dtype](kept, room->ones, &operands, n,
                                                  arrays.y + first * fd_number_size(job->dtype));
    }
}

static void
bernoulli_part(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, fd_arrays arrays,
               fd_watch watch)
{
    bernoulli_room room;
    if (!job->as_bytes) {
        fill_ones(job->dtype, room.ones, fd_min(n, FD_READ_BYTES));
    }
    for (const uint64_t end = first + n; first < end && !fd_stops(watch); first += FD_READ_BYTES) {
        draw_tile(job, cursor, first, fd_min(FD_READ_BYTES, (size_t)(end - first)), arrays, &room);
    }
}

int
fd_bernoulli(const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
             const fd_executor *executor)
{
    return fd_run_parts(bernoulli_part, job, cursor, n, arrays, executor);
}

/* Whether the numbers are in [0, 1], as bits: in order, those of 0 to 1 are integers from 0 to that of
 * 1. A sign bit comes up for any other number; and for -0, which may pass. */
static int
singles_are_within(const char *numbers, size_t n)
{
    uint32_t signs = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, numbers + i * sizeof bits, sizeof bits);
        signs |= bits | (UINT32_C(0x3F800000) - bits);
    }
    return !(signs >> 31);
}

static int
doubles_are_within(const char *numbers, size_t n)
{
    uint64_t signs = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, numbers + i * sizeof bits, sizeof bits);
        signs |= bits | (UINT64_C(0x3FF0000000000000) - bits);
    }
    return !(signs >> 63);
}

int
fd_are_probabilities(const void *numbers, fd_dtype dtype, size_t n)
{
    const int single = dtype == FD_FLOAT32;
    if (single ? singles_are_within((const char *)numbers, n)
               : doubles_are_within((const char *)numbers, n)) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        const double number =
            single ? (double)((const float *)numbers)[i] : ((const double *)numbers)[i];
        if (!(number >= 0.0 && number <= 1.0)) {
            return 0;
        }
    }
    return 1;
}
