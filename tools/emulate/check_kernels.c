/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs every kernel of every table that this machine can run on the vectors of make_vectors.py,
 * compares the results with the wanted ones and with those of the first table, bit for bit, and
 * prints how many agreed. NaNs may differ from the wanted ones in sign and payload, for these are
 * the machine's; between two tables they may not, but where operations meet two NaNs.
 *
 * Buffers end where the kernels' contracts say, so that a sanitizer sees what goes past them.
 */
#include <math.h>

#include "allocate.h"
#include "engine/cpu.h"
#include "engine/job.h"
#include "engine/sources.h"
#include "engine/stream.h"
#include "engine/threads.h"

typedef enum {
    FILL,
    LANES,
    THRESHOLD,
    APPLY,
    UNPACK,
    DRAW,
    WORDS,
    OPERATE,
    NORMAL,
    MULTIPLY,
    SOFTMAX,
    SOFTMAX_BACKWARD,
    PROBABILITIES,
    HEADS,
    COMPARE,
    DIGITS,
    FACTORS,
    SCALE_EACH,
    MULTIPLY_NORMAL,
    SOFTMAX_WEIGHTS,
    KINDS
} vector_kind;

static const char *const kind_names[KINDS] = {
    "fill",    "lanes",  "threshold", "apply",   "unpack",          "draw", "words",
    "operate", "normal", "multiply",  "softmax", "softmax_backward",
    "probabilities", "heads", "compare", "digits", "factors", "scale_each",
    "multiply_normal", "softmax_weights"};
/* To compute the same result. */
static const size_t ways[KINDS] = {2, 1, 1, 5, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1};

typedef struct {
    const uint8_t *at;
    size_t size;
} blob;

typedef struct {
    vector_kind kind;
    size_t which, n;
    fd_identity identity;
    uint64_t at, value;
    double scale; /* the value, where that is a double */
    blob kept, given, wanted;
} vector;

/* ---- bytes ------------------------------------------------------------------------------ */

/* Numbers of `size` bytes from the file's order to the machine's, or back. */
static void
swap_order(void *numbers, size_t bytes, size_t size)
{
    uint8_t *at = (uint8_t *)numbers;
    if (FD_LE64((uint64_t)1) == 1) {
        return;
    }
    for (size_t first = 0; first < bytes; first += size) {
        for (size_t i = 0; i < size / 2; i++) {
            const uint8_t byte = at[first + i];
            at[first + i] = at[first + size - 1 - i];
            at[first + size - 1 - i] = byte;
        }
    }
}

static uint64_t
read_word(const uint8_t **at)
{
    const uint64_t word = fd_load_le64(*at);
    *at += 8;
    return word;
}

static blob
read_blob(const uint8_t **at)
{
    blob bytes;
    bytes.size = (size_t)read_word(at);
    bytes.at = *at;
    *at += bytes.size;
    return bytes;
}

static vector
read_vector(const uint8_t **at)
{
    vector v;
    v.kind = (vector_kind)read_word(at);
    v.which = (size_t)read_word(at);
    v.n = (size_t)read_word(at);
    const uint64_t key = read_word(at);
    v.identity.key[0] = (uint32_t)key;
    v.identity.key[1] = (uint32_t)(key >> 32);
    v.identity.counter[0] = read_word(at);
    v.identity.counter[1] = read_word(at);
    v.at = read_word(at);
    v.value = read_word(at);
    memcpy(&v.scale, &v.value, sizeof v.scale);
    v.kept = read_blob(at);
    v.given = read_blob(at);
    v.wanted = read_blob(at);
    return v;
}

static uint8_t *
read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    const long length = ftell(file);
    *size = length > 0 ? (size_t)length : 0;
    uint8_t *bytes = (uint8_t *)allocate(*size);
    rewind(file);
    if (fread(bytes, 1, *size, file) != *size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return bytes;
}

/* ---- one result of each kind, written to `out` in the file's order ----------------------- */

/* In one call, or in two of which the second goes on with the lanes of the first. */
static void
run_fill(const fd_kernels *kernels, const vector *v, size_t way, uint8_t *out)
{
    const size_t first = way ? v->n / 3 : v->n;
    fd_lanes lanes;
    memset(&lanes, 0, sizeof lanes);
    kernels->fill[v->which](&v->identity, &lanes, v->at, first, out);
    if (first < v->n) {
        kernels->fill[v->which](&v->identity, &lanes, v->at + first, v->n - first,
                                out + FD_STEP * first);
    }
}

static void
run_lanes(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    fd_lanes lanes;
    memset(&lanes, 0, sizeof lanes);
    kernels->fill[v->which](&v->identity, &lanes, v->at, 0, out);
    memcpy(out, lanes.word, v->wanted.size);
    swap_order(out, v->wanted.size, 8);
}

static void
run_threshold(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    uint8_t *bytes = (uint8_t *)allocate(v->given.size);
    memcpy(bytes, v->given.at, v->given.size);
    kernels->threshold(bytes, v->n, v->value, &v->identity, v->at, out);
    free(bytes);
}

/* By the engine, from element 7 of a packed mask on: one to one, or an axis that is broadcast. */
static void
apply_by_engine(const fd_kernels *kernels, const vector *v, int broadcast, const void *x, void *y)
{
    const size_t bytes = (7 + v->n + 7) / 8 + FD_PADDING;
    uint8_t *kept = (uint8_t *)allocate(bytes);
    fd_any_mask mask;
    fd_cursor cursor;
    fd_job job;
    fd_broadcast to_all;
    memset(&mask, 0, sizeof mask);
    memset(&cursor, 0, sizeof cursor);
    memset(&job, 0, sizeof job);
    mask.packed = kept;
    to_all.ndim = 1;
    to_all.shape[0] = INT64_MAX;
    to_all.stride[0] = 1;
    mask.broadcast = broadcast ? &to_all : NULL;
    job.kernels = kernels;
    job.mask = &mask;
    job.dtype = (fd_dtype)v->which;
    job.components = 1;
    job.scale = v->scale;
    memset(kept, 0xFF, bytes);
    for (size_t i = 0; i < v->n; i++) {
        const int dropped = !(v->kept.at[i / 8] >> i % 8 & 1);
        kept[(i + 7) / 8] &= (uint8_t)~(dropped << (i + 7) % 8);
    }
    const fd_arrays arrays = {x, NULL, y};
    fd_apply_part(&job, &cursor, 7, v->n, arrays);
    free(kept);
}

/* From and to unaligned arrays; in place; past the caches; and twice by the engine. */
static void
run_apply(const fd_kernels *kernels, const vector *v, size_t way, uint8_t *out)
{
    const size_t bytes = v->given.size, size = v->n ? bytes / v->n : 1;
    uint8_t *kept = (uint8_t *)allocate(v->kept.size);
    uint8_t *x = (uint8_t *)allocate(bytes + size), *y = (uint8_t *)allocate(bytes + 64);
    uint8_t *const from = x + size;
    uint8_t *to = way == 1 ? from : y + size;
    const fd_operands operands = {v->scale, 0, 0, NULL, NULL, NULL};
    memcpy(kept, v->kept.at, v->kept.size);
    memcpy(from, v->given.at, bytes);
    swap_order(from, bytes, size);
    if (way < 2) {
        kernels->apply[FD_SCALE][v->which](kept, from, &operands, v->n, to);
    } else if (way == 2) {
        to = y + (-(uintptr_t)y & 63);
        kernels->apply_past_caches[FD_SCALE][v->which](kept, from, &operands, v->n, to);
    } else {
        apply_by_engine(kernels, v, way == 4, from, to);
    }
    memcpy(out, to, bytes);
    swap_order(out, bytes, size);
    free(y);
    free(x);
    free(kept);
}

/* x, other and bias lie one after the other; stored in the caches, and past them. */
static void
run_operate(const fd_kernels *kernels, const vector *v, size_t way, uint8_t *out)
{
    const size_t bytes = v->given.size / 3, size = v->n ? bytes / v->n : 1;
    uint8_t *kept = (uint8_t *)allocate(v->kept.size), *x = (uint8_t *)allocate(3 * bytes);
    uint8_t *y = (uint8_t *)allocate(bytes + 64), *const to = y + (-(uintptr_t)y & 63);
    const fd_operands operands = {v->scale, 0.375, -1.25, x + bytes, x + 2 * bytes, NULL};
    memcpy(kept, v->kept.at, v->kept.size);
    memcpy(x, v->given.at, 3 * bytes);
    swap_order(x, 3 * bytes, size);
    (way ? kernels->apply_past_caches : kernels->apply)[v->at][v->which](kept, x, &operands, v->n,
                                                                         to);
    memcpy(out, to, bytes);
    swap_order(out, bytes, size);
    free(y);
    free(x);
    free(kept);
}

/* Words in whole groups, as the kernel reads and writes them. */
static void
run_normal(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    uint8_t *bytes = (uint8_t *)allocate(v->given.size);
    float *factors = (float *)allocate(v->wanted.size);
    memcpy(bytes, v->given.at, v->given.size);
    kernels->normal(bytes, v->n, (float)v->scale, factors);
    memcpy(out, factors, v->wanted.size);
    swap_order(out, v->wanted.size, 4);
    free(factors);
    free(bytes);
}

/* By factors, or by those of words. */
static void
run_multiply(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    const size_t bytes = v->given.size, size = v->n ? bytes / v->n : 1;
    uint8_t *by = (uint8_t *)allocate(v->kept.size);
    uint8_t *x = (uint8_t *)allocate(bytes);
    memcpy(by, v->kept.at, v->kept.size);
    memcpy(x, v->given.at, bytes);
    swap_order(x, bytes, size);
    if (v->kind == MULTIPLY_NORMAL) {
        kernels->multiply_normal[v->which](by, (float)v->scale, x, v->n, out);
    } else {
        swap_order(by, v->kept.size, 4);
        kernels->multiply[v->which]((const float *)(const void *)by, x, v->n, out);
    }
    swap_order(out, bytes, size);
    free(x);
    free(by);
}

static void
run_unpack(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    uint8_t *bits = (uint8_t *)allocate(v->kept.size);
    memcpy(bits, v->kept.at, v->kept.size);
    kernels->unpack(bits, v->n, out);
    free(bits);
}

/* All stages, on three threads. */
static void
run_draw(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    const fd_executor pool = {.run = fd_pool_run, .workers = 3, .grain = 1024};
    const fd_arrays arrays = {NULL, NULL, (char *)out};
    fd_any_mask mask;
    fd_cursor cursor;
    fd_job job;
    memset(&mask, 0, sizeof mask);
    memset(&cursor, 0, sizeof cursor);
    memset(&job, 0, sizeof job);
    mask.seeded.source = (fd_source)v->which;
    mask.seeded.identity = v->identity;
    mask.seeded.ties = fd_tagged(&v->identity, fd_sources[v->which].tie_tag);
    mask.seeded.position = v->at;
    mask.seeded.threshold.value = v->value;
    job.kernels = kernels;
    job.mask = &mask;
    /* What is given are probabilities, of each element or of each row. */
    const size_t count = v->given.size / 8;
    double *values = (double *)allocate(v->given.size);
    fd_numbers probabilities;
    memset(&probabilities, 0, sizeof probabilities);
    memcpy(values, v->given.at, v->given.size);
    swap_order(values, v->given.size, 8);
    if (count) {
        probabilities.values = values;
        probabilities.meaning = (fd_meaning)v->value;
        probabilities.broadcast.ndim = 2;
        probabilities.broadcast.shape[0] = (int64_t)count;
        probabilities.broadcast.stride[0] = 1;
        probabilities.broadcast.shape[1] = (int64_t)(v->n / count);
        if (count == v->n) { /* one axis */
            probabilities.broadcast.ndim = 1;
        }
        mask.each = &probabilities;
    }
    fd_draw(&job, &cursor, v->n, arrays, &pool);
    free(values);
}

/* What is made of doubles: a copy and whether they are right, heads, or factors. */
static void
run_numbers(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    const fd_meaning meaning = (fd_meaning)v->value;
    const size_t size = v->which == FD_FLOAT64 ? 8 : 4;
    double *values = (double *)allocate(v->given.size);
    void *factors = allocate(v->wanted.size);
    memcpy(values, v->given.at, v->given.size);
    swap_order(values, v->given.size, 8);
    if (v->kind == PROBABILITIES) {
        double *copy = (double *)allocate(v->given.size);
        out[v->given.size] = (uint8_t)kernels->probabilities(values, v->n, copy);
        memcpy(out, copy, v->given.size);
        swap_order(out, v->given.size, 8);
        free(copy);
    } else if (v->kind == HEADS) {
        kernels->heads(values, v->n, meaning, out);
    } else {
        kernels->factors[v->which](values, v->n, meaning, factors);
        memcpy(out, factors, v->wanted.size);
        swap_order(out, v->wanted.size, size);
    }
    free(factors);
    free(values);
}

/* Bytes and heads in whole groups of 64. */
static void
run_compare(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    uint8_t *bytes = (uint8_t *)allocate(v->given.size), *heads = (uint8_t *)allocate(v->kept.size);
    memcpy(bytes, v->given.at, v->given.size);
    memcpy(heads, v->kept.at, v->kept.size);
    kernels->compare(bytes, heads, v->n, out, out + v->wanted.size / 2);
    free(heads);
    free(bytes);
}

/* Indices and digits in whole groups of 8. */
static void
run_digits(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    uint16_t *index = (uint16_t *)allocate(v->given.size);
    uint64_t *digits = (uint64_t *)allocate(4 * v->given.size);
    memcpy(index, v->given.at, v->given.size);
    swap_order(index, v->given.size, 2);
    kernels->digits(&v->identity, v->at, index, v->n, digits);
    memcpy(out, digits, v->wanted.size);
    swap_order(out, v->wanted.size, 8);
    free(digits);
    free(index);
}

/* x, followed by the factors; stored in the caches, and past them. */
static void
run_scale_each(const fd_kernels *kernels, const vector *v, size_t way, uint8_t *out)
{
    const size_t bytes = v->wanted.size, size = v->n ? bytes / v->n : 1;
    const size_t factor_bytes = v->given.size - bytes;
    uint8_t *kept = (uint8_t *)allocate(v->kept.size), *x = (uint8_t *)allocate(bytes);
    void *factors = allocate(factor_bytes);
    uint8_t *y = (uint8_t *)allocate(bytes + 64), *const to = y + (-(uintptr_t)y & 63);
    const fd_operands operands = {0, 0, 0, NULL, NULL, factors};
    memcpy(kept, v->kept.at, v->kept.size);
    memcpy(x, v->given.at, bytes);
    memcpy(factors, v->given.at + bytes, factor_bytes);
    swap_order(x, bytes, size);
    swap_order(factors, factor_bytes, v->which == FD_FLOAT64 ? 8 : 4);
    (way ? kernels->apply_past_caches : kernels->apply)[FD_SCALE_EACH][v->which](
        kept, x, &operands, v->n, to);
    memcpy(out, to, bytes);
    swap_order(out, bytes, size);
    free(y);
    free(factors);
    free(x);
    free(kept);
}

static void
run_words(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    fd_stream stream;
    memset(&stream, 0, sizeof stream);
    stream.source = (fd_source)v->which;
    stream.identity = v->identity;
    stream.position = v->at;
    for (size_t i = 0; i < v->n; i++) {
        fd_store_le64(out + 8 * i, fd_stream_next(kernels, &stream, 8));
    }
}

/* A row in arrays of its own: of scores and, backward, of gradients. */
static void
run_softmax(const fd_kernels *kernels, const vector *v, uint8_t *out)
{
    const size_t size = v->which == FD_FLOAT64 ? 8 : 4, bytes = v->n * size;
    uint8_t *kept = (uint8_t *)allocate(v->kept.size);
    uint8_t *scores = (uint8_t *)allocate(bytes), *gradients = (uint8_t *)allocate(bytes);
    double given[5];
    memcpy(kept, v->kept.at, v->kept.size);
    memcpy(scores, v->given.at, bytes);
    swap_order(scores, bytes, size);
    if (v->kind != SOFTMAX) {
        memcpy(gradients, v->given.at + bytes, bytes);
        swap_order(gradients, bytes, size);
        memcpy(given, v->given.at + 2 * bytes, sizeof given);
        swap_order(given, sizeof given, 8);
        fd_softmax row = {given[0], given[1], given[2], given[3], given[4]};
        if (v->kind == SOFTMAX_WEIGHTS) {
            kernels->softmax_weights[v->which](scores, gradients, v->n, kept, (size_t)v->at, &row);
            memcpy(out + 2 * bytes, &row.delta, 8);
            swap_order(out + 2 * bytes, 8, 8);
        } else {
            kernels->softmax_backward[v->which](scores, gradients, v->n, kept, (size_t)v->at, &row);
        }
        memcpy(out + bytes, gradients, bytes);
        swap_order(out + bytes, bytes, size);
    } else {
        fd_softmax row = {.largest = -INFINITY};
        kernels->softmax[v->which](scores, v->n, kept, (size_t)v->at, &row);
        memcpy(out + bytes, &row.largest, 8);
        memcpy(out + bytes + 8, &row.inverse, 8);
        swap_order(out + bytes, 16, 8);
    }
    memcpy(out, scores, bytes);
    swap_order(out, bytes, size);
    free(gradients);
    free(scores);
    free(kept);
}

static uint8_t *
run(const fd_kernels *kernels, const vector *v, size_t way)
{
    uint8_t *out = (uint8_t *)allocate(v->wanted.size);
    memset(out, 0xA5, v->wanted.size);
    switch (v->kind) {
    case FILL:
        run_fill(kernels, v, way, out);
        break;
    case LANES:
        run_lanes(kernels, v, out);
        break;
    case THRESHOLD:
        run_threshold(kernels, v, out);
        break;
    case APPLY:
        run_apply(kernels, v, way, out);
        break;
    case UNPACK:
        run_unpack(kernels, v, out);
        break;
    case DRAW:
        run_draw(kernels, v, out);
        break;
    case WORDS:
        run_words(kernels, v, out);
        break;
    case OPERATE:
        run_operate(kernels, v, way, out);
        break;
    case NORMAL:
        run_normal(kernels, v, out);
        break;
    case MULTIPLY:
    case MULTIPLY_NORMAL:
        run_multiply(kernels, v, out);
        break;
    case SOFTMAX:
    case SOFTMAX_WEIGHTS:
    case SOFTMAX_BACKWARD:
        run_softmax(kernels, v, out);
        break;
    case PROBABILITIES:
    case HEADS:
    case FACTORS:
        run_numbers(kernels, v, out);
        break;
    case COMPARE:
        run_compare(kernels, v, out);
        break;
    case DIGITS:
        run_digits(kernels, v, out);
        break;
    case SCALE_EACH:
        run_scale_each(kernels, v, way, out);
        break;
    case KINDS:
        break;
    }
    return out;
}

/* ---- comparisons ------------------------------------------------------------------------ */

static int
is_nan(const uint8_t *number, size_t dtype, size_t size)
{
    static const uint64_t infinity[FD_DTYPES] = {0x7C00, 0x7F80, 0x7F800000, 0x7FF0000000000000};
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits |= (uint64_t)number[i] << 8 * i;
    }
    return (bits & fd_low_bits(8 * size - 1)) > infinity[dtype];
}

static int
is_wanted(const vector *v, const uint8_t *out)
{
    if (v->kind != APPLY && v->kind != OPERATE && v->kind != SCALE_EACH && v->kind != MULTIPLY &&
        v->kind != MULTIPLY_NORMAL) {
        return memcmp(out, v->wanted.at, v->wanted.size) == 0;
    }
    const size_t size = v->n ? v->wanted.size / v->n : 1;
    for (size_t i = 0; i < v->wanted.size; i += size) {
        if (memcmp(out + i, v->wanted.at + i, size) != 0 &&
            !(is_nan(out + i, v->which, size) && is_nan(v->wanted.at + i, v->which, size))) {
            return 0;
        }
    }
    return 1;
}

int
main(int argc, char **argv)
{
    const fd_kernels *tables[FD_MAX_TABLES];
    const int count = fd_cpu_tables(tables);
    size_t size, failed = 0, passed = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s VECTORS\n", argv[0]);
        return 2;
    }
    uint8_t *file = read_file(argv[1], &size);
    const uint8_t *at = file;
    while (at < file + size) {
        const vector v = read_vector(&at);
        uint8_t *const first = run(tables[0], &v, 0);
        for (int table = 0; table < count; table++) {
            for (size_t way = 0; way < ways[v.kind]; way++) {
                uint8_t *out = run(tables[table], &v, way);
                const int same = memcmp(out, first, v.wanted.size) == 0;
                if (is_wanted(&v, out) && (same || v.kind == OPERATE)) {
                    passed++;
                } else if (failed++ < 20) {
                    printf("FAILED %s %s of %zu (source or dtype %zu, way %zu, at %llu)\n",
                           tables[table]->name, kind_names[v.kind], v.n, v.which, way,
                           (unsigned long long)v.at);
                }
                free(out);
            }
        }
        free(first);
    }
    free(file);
    for (int table = 0; table < count; table++) {
        printf("%s ", tables[table]->name);
    }
    printf("| %zu passed, %zu failed\n", passed, failed);
    return failed || !passed;
}
