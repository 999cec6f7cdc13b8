/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For libFuzzer: jobs that its bytes describe go through the door of the engine, on buffers that
 * end where the contracts of job.h say. Every table has to give the results of the scalar one, and
 * so has a job that is done in two parts. The sanitizers see what is read or written elsewhere.
 */
#include <math.h>

#include "../emulate/allocate.h"
#include "engine/api.h"
#include "engine/cpu.h"

enum { MOST = 3 * FD_TILE };

typedef struct {
    const uint8_t *at;
    size_t left;
} input;

static uint64_t
take(input *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && from->left > 0; i++, from->left--) {
        value |= (uint64_t)*from->at++ << 8 * i;
    }
    return value;
}

/* All numbers that are in the input, again and again. */
static void
fill(const input *from, void *to, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)to)[i] = from->left ? from->at[i % from->left] : (uint8_t)i;
    }
}

/* NaNs are alike: where operations meet two of them, tables may take either. */
static void
forget_nans(void *numbers, fd_dtype dtype, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (dtype == FD_FLOAT64) {
            double *at = (double *)numbers + i;
            *at = isnan(*at) ? (double)NAN : *at;
        } else if (dtype == FD_FLOAT32) {
            float *at = (float *)numbers + i;
            *at = isnan(*at) ? NAN : *at;
        } else {
            const uint16_t most = dtype == FD_FLOAT16 ? 0x7C00 : 0x7F80;
            uint16_t *at = (uint16_t *)numbers + i;
            *at = (*at & 0x7FFF) > most ? 0x7FFF : *at;
        }
    }
}

typedef enum { APPLY, APPLY_IN_PLACE, MULTIPLY, DRAW, BERNOULLI, KINDS } fuzzed;

typedef struct {
    fuzzed kind;
    fd_job job;
    fd_any_mask mask;
    size_t n, first; /* elements, and those of the first part */
    size_t size;     /* bytes of an element of y; 0: bits */
    size_t offset;   /* of arrays from where memory is aligned */
    char *x, *other, *bias;
} task;

static size_t
bytes_of(const task *t, size_t n)
{
    return t->size ? n * t->size : (n + 7) / 8;
}

static void
go(const task *t, const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays)
{
    const fd_executor alone = {.workers = 1};
    const fd_job_function functions[KINDS] = {fd_engine.apply, fd_engine.apply, fd_engine.multiply,
                                              fd_engine.draw, fd_engine.bernoulli};
    if (functions[t->kind](job, cursor, n, arrays, &alone) != 0) {
        abort();
    }
}

/* Returns the results of a table, in memory of exactly their size. */
static char *
results(const task *t, const fd_kernels *kernels, int in_parts)
{
    const size_t size = bytes_of(t, t->n);
    char *const memory = (char *)allocate(t->offset + size), *const y = memory + t->offset;
    fd_job job = t->job;
    fd_any_mask mask = t->mask;
    fd_cursor cursor;
    memset(&cursor, 0, sizeof cursor);
    job.kernels = kernels;
    job.mask = &mask;
    fd_arrays arrays = {t->x, t->other, y};
    if (t->kind == APPLY_IN_PLACE && size > 0) {
        memcpy(y, t->x, size);
        arrays.x = y;
    }
    if (!in_parts) {
        go(t, &job, &cursor, t->n, arrays);
    } else {
        const size_t before = bytes_of(t, t->first);
        const size_t numbers =
            t->kind == BERNOULLI ? t->first * (t->job.dtype_of_p == FD_FLOAT32 ? 4 : 8) : before;
        go(t, &job, &cursor, t->first, arrays);
        mask.seeded.position += t->first;
        arrays.x = arrays.x ? arrays.x + numbers : NULL;
        arrays.other = arrays.other ? arrays.other + before : NULL;
        arrays.y += before;
        go(t, &job, &cursor, t->n - t->first, arrays);
    }
    memmove(memory, y, size);
    if (t->size && !t->job.as_bytes) {
        forget_nans(memory, job.dtype, size / fd_number_size(job.dtype));
    }
    return memory;
}

static char *
numbers(const input *from, size_t offset, size_t size)
{
    char *memory = (char *)allocate(offset + size);
    fill(from, memory + offset, size);
    return memory + offset;
}

static const fd_operation operations[] = {
    FD_SCALE, FD_AFFINE,    FD_ADD,       FD_SELECT, FD_RELU,          FD_ADD_BIAS,
    FD_GELU,  FD_GELU_TANH, FD_RELU_BIAS, FD_SILU,   FD_GELU_BACKWARD, FD_SILU_BACKWARD};

static task
read_task(input *from)
{
    task t;
    memset(&t, 0, sizeof t);
    t.kind = (fuzzed)(take(from, 1) % KINDS);
    t.job.operation = operations[take(from, 1) % (sizeof operations / sizeof *operations)];
    t.job.dtype = (fd_dtype)(take(from, 1) % FD_DTYPES);
    fd_seeded *seeded = &t.mask.seeded;
    seeded->source = (fd_source)(take(from, 1) % FD_SOURCES);
    const uint64_t key = take(from, 8);
    const uint64_t words[3] = {key, take(from, 8), take(from, 8)};
    seeded->identity = fd_identity_of(words);
    seeded->ties = fd_tagged(&seeded->identity, fd_engine.sources[seeded->source].tie_tag);
    const uint64_t p = take(from, 8);
    seeded->threshold.value = p;
    seeded->threshold.drops_all = take(from, 1) == 1;
    t.n = (size_t)take(from, 2) % (MOST + 1);
    t.first = t.n ? (size_t)take(from, 2) % (t.n + 1) / 8 * 8 : 0;
    /* Faces refuse positions past 2^64. */
    seeded->position = take(from, 8);
    if (seeded->position > UINT64_MAX - t.n) {
        seeded->position = UINT64_MAX - t.n;
    }
    t.job.components =
        t.kind == APPLY && t.job.operation == FD_SCALE ? 1 + (int)take(from, 1) % 2 : 1;
    if (t.job.components == 2 && fd_number_size(t.job.dtype) == 2) {
        t.job.components = 1;
    }
    const uint64_t scale = take(from, 8);
    memcpy(&t.job.scale, &scale, 8);
    if (isnan(t.job.scale)) { /* faces refuse it */
        t.job.scale = 2.0;
    }
    t.job.shift = (double)(int8_t)take(from, 1);
    t.job.dropped = (double)(int8_t)take(from, 1);
    t.job.past_caches = t.kind == APPLY && take(from, 1) % 2;
    t.job.as_dropped = (int)take(from, 1) % 2;
    t.job.as_bytes = t.kind == DRAW || t.kind == BERNOULLI ? (int)take(from, 1) % 2 : 0;
    t.job.dtype_of_p = take(from, 1) % 2 ? FD_FLOAT32 : FD_FLOAT64;
    t.job.deviation = 0.25f + (float)take(from, 1) / 64;
    t.size = fd_element_size(&t.job);
    if (t.kind == DRAW) {
        t.size = t.job.as_bytes ? 1 : 0;
    } else if (t.job.as_bytes) {
        t.size = 1;
    }
    if (t.kind == MULTIPLY) { /* factor i is made of four bytes */
        t.n /= 4;
        t.first = t.first / 4 < t.n ? t.first / 4 : t.n;
        seeded->position &= ~(uint64_t)3;
        if (seeded->position > UINT64_MAX - 4 * (uint64_t)t.n) {
            seeded->position -= 4 * (uint64_t)t.n;
        }
    }
    t.offset =
        (size_t)take(from, 1) % 64 / fd_number_size(t.job.dtype) * fd_number_size(t.job.dtype);
    if (t.kind == DRAW) {
        return t;
    }
    if (t.kind == BERNOULLI) {
        const fd_dtype dtype = t.job.dtype_of_p;
        const size_t size = fd_number_size(dtype);
        t.x = numbers(from, 0, t.n * size);
        /* Faces refuse what is no probability. */
        if (!fd_engine.are_probabilities(t.x, dtype, t.n)) {
            for (size_t i = 0; i < t.n; i++) {
                const double some = (double)((uint8_t)t.x[i * size]) / 255;
                const float single = (float)some;
                memcpy(t.x + i * size, size == 4 ? (const void *)&single : (const void *)&some,
                       size);
            }
        }
        return t;
    }
    t.x = numbers(from, t.offset, t.n * t.size);
    if (t.kind == MULTIPLY) {
        return t;
    }
    const fd_operation operation = t.job.operation;
    if (operation == FD_ADD || operation == FD_ADD_BIAS || operation == FD_SELECT ||
        operation == FD_GELU_BACKWARD || operation == FD_SILU_BACKWARD) {
        t.other = numbers(from, t.offset, t.n * t.size);
    }
    if (operation == FD_ADD_BIAS || operation == FD_RELU_BIAS) {
        t.job.bias_period = 1 + take(from, 2) % 5000;
        const size_t period = (size_t)t.job.bias_period * t.size;
        t.bias = numbers(from, 0, period + FD_TILE * t.size);
        fd_repeat(t.bias, period, period + FD_TILE * t.size);
        t.job.bias = t.bias;
    }
    return t;
}

static void
free_task(const task *t)
{
    free(t->x ? t->x - (t->kind == BERNOULLI ? 0 : t->offset) : NULL);
    free(t->other ? t->other - t->offset : NULL);
    free(t->bias);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const fd_kernels *tables[FD_MAX_TABLES];
    const int count = fd_cpu_tables(tables);
    input from = {bytes, size};
    task t = read_task(&from);
    char *const wanted = results(&t, tables[0], 0);
    for (int i = 0; i < count; i++) {
        for (int in_parts = i == 0; in_parts < 2; in_parts++) {
            /* A factor counts four positions, and the bias would start elsewhere. */
            if (in_parts && (t.kind == MULTIPLY || t.job.bias != NULL)) {
                continue;
            }
            char *const found = results(&t, tables[i], in_parts);
            if (memcmp(found, wanted, bytes_of(&t, t.n)) != 0) {
                fprintf(stderr, "%s%s: other results than %s's\n", tables[i]->name,
                        in_parts ? ", in parts" : "", tables[0]->name);
                abort();
            }
            free(found);
        }
    }
    free(wanted);
    free_task(&t);
    return 0;
}
