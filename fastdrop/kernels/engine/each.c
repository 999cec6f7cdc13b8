/* SPDX-License-Identifier: BSD-3-Clause */
#include "each.h"

#include "../listed_ties.h"

/* What is made of a tile's numbers, or of factors that are stored. */
typedef struct {
    const fd_kernels *kernels;
    const fd_numbers *each;
    fd_dtype dtype; /* of factors */
    const float *stored;
} making;

/* Makes something of n numbers from `at` on. */
typedef void (*make_function)(const making *how, int64_t at, size_t n, void *made);

/* Makes something of `size` bytes for each of the elements [first, first + n): once, where elements
 * share a number or the next rows have the same numbers again. */
static void
make_tile(make_function make, const making *how, const fd_broadcast *broadcast, size_t size,
          uint64_t first, size_t n, void *made)
{
    uint8_t *to = (uint8_t *)made;
    fd_walk walk;
    fd_walk_start(&walk, broadcast, first);
    for (size_t left = n, count; left; left -= count, to += count * size) {
        const int64_t at = walk.at;
        const size_t length = fd_walk_run(&walk, left);
        if (walk.step) {
            count = length * fd_walk_rows(&walk, length, 0, left);
            make(how, at, length, to);
            fd_repeat(to, length * size, count * size);
        } else {
            const size_t rows = fd_walk_rows(&walk, length, 1, left);
            count = length * rows;
            uint8_t *items =
                to +
                (count - rows) * size; /* at the end: no row overwrites one that is still read */
            make(how, at, rows, items);
            for (size_t row = 0; row < rows; row++) {
                fd_fill(to + row * length * size, items + row * size, size, length);
            }
        }
        fd_walk_on(&walk, length);
    }
}

/* ---- mask ------------------------------------------------------------------------------- */

static void
make_heads(const making *how, int64_t at, size_t n, void *heads)
{
    how->kernels->heads(how->each->values + at, n, how->each->meaning, (uint8_t *)heads);
}

/* An element whose byte is its head is dropped iff its tie digits are below this, of [0, 2^56]. */
static uint64_t
limit_of(const fd_numbers *each, uint64_t element, uint8_t head)
{
    fd_walk walk;
    fd_walk_start(&walk, &each->broadcast, element);
    const double value = each->values[walk.at];
    const fd_threshold threshold =
        each->meaning == FD_KEEP_PROB ? fd_keep_threshold(value) : fd_drop_threshold(value);
    return threshold.value - ((uint64_t)head << 56); /* modulo 2^64; that of drops_all is 0 */
}

enum { MOST_TIES = FD_TILE_STEPS };

/* Clears the kept bits of those ties that are dropped. Reads `index` in whole groups of 8. */
static void
settle(const making *how, const fd_identity *ties, uint64_t first, uint64_t position,
       const uint8_t *heads, const uint16_t *index, size_t count, uint8_t *kept)
{
    uint64_t digits[MOST_TIES + 8];
    how->kernels->digits(ties, position, index, count, digits);
    for (size_t i = 0; i < count; i++) {
        const unsigned at = index[i];
        const int dropped = digits[i] < limit_of(how->each, first + at, heads[at]);
        kept[at / 8] &= (uint8_t)~(dropped << at % 8);
    }
}

void
fd_decide(const fd_kernels *kernels, const fd_numbers *each, const fd_identity *ties,
          const uint8_t *bytes, uint64_t first, size_t n, uint64_t position, uint8_t *kept)
{
    const making how = {kernels, each, FD_FLOAT64, NULL};
    FD_ALIGN64 uint8_t heads[FD_READ_BYTES + FD_STEP], equal[FD_READ_BYTES / 8];
    uint16_t list[MOST_TIES + 8] = {0};
    fd_ties ties_left;
    size_t length = 0;
    make_tile(make_heads, &how, &each->broadcast, 1, first, n, heads);
    memset(heads + n, 0, FD_STEP); /* read in whole groups of 64 */
    kernels->compare(bytes, heads, n, kept, equal);
    for (size_t i = 0; i < n; i += 64) {
        length = ties_add(&ties_left, length, i / 64, fd_load_le64(equal + i / 8));
    }
    while (length) {
        const size_t count = ties_list(&ties_left, &length, MOST_TIES, list);
        settle(&how, ties, first, position, heads, list, count, kept);
    }
}

static void
make_p(const making *how, int64_t at, size_t n, void *p)
{
    const double *values = how->each->values + at;
    double *to = (double *)p;
    for (size_t i = 0; i < n; i++) {
        to[i] = how->each->meaning == FD_KEEP_PROB ? 1.0 - values[i] : values[i];
    }
}

void
fd_drop_probabilities(const fd_numbers *each, uint64_t first, size_t n, double *p)
{
    const making how = {NULL, each, FD_FLOAT64, NULL};
    make_tile(make_p, &how, &each->broadcast, sizeof(double), first, n, p);
}

/* ---- apply ------------------------------------------------------------------------------ */

static void
make_factors(const making *how, int64_t at, size_t n, void *factors)
{
    how->kernels->factors[how->dtype](how->each->values + at, n, how->each->meaning, factors);
}

void
fd_double(const void *factors, size_t size, size_t n, void *doubled)
{
    const uint8_t *from = (const uint8_t *)factors;
    uint8_t *to = (uint8_t *)doubled;
    for (size_t i = n; i-- > 0;) {
        memmove(to + (2 * i + 1) * size, from + i * size, size);
        memmove(to + 2 * i * size, from + i * size, size);
    }
}

void
fd_factors(const fd_kernels *kernels, const fd_numbers *each, fd_dtype dtype, size_t components,
           uint64_t first, size_t n, void *factors)
{
    const making how = {kernels, each, dtype, NULL};
    const size_t size = dtype == FD_FLOAT64 ? sizeof(double) : sizeof(float);
    make_tile(make_factors, &how, &each->broadcast, size, first, n, factors);
    if (components == 2) {
        fd_double(factors, size, n, factors);
    }
}

static void
copy_stored(const making *how, int64_t at, size_t n, void *factors)
{
    memcpy(factors, how->stored + at, n * sizeof(float));
}

void
fd_spread(const fd_broadcast *broadcast, const float *factors, uint64_t first, size_t n,
          float *spread)
{
    const making how = {NULL, NULL, FD_FLOAT32, factors};
    make_tile(copy_stored, &how, broadcast, sizeof(float), first, n, spread);
}
