/* SPDX-License-Identifier: BSD-3-Clause */
#include "masks.h"

#ifdef FD_HAS_DISPATCHER

/* A generator of the stack, and the argument that a function may take it from. */
typedef struct {
    void **handle;
    optional_pointer given;
} generator_argument;

static generator_argument
generator_of(const stable_value *value)
{
    generator_argument generator = {NULL, {NULL, false}};
    if (value != NULL) {
        generator.handle = (void **)address_of(*value);
        generator.given.value = *generator.handle;
        generator.given.given = true;
    }
    return generator;
}

static void
release_generator(const generator_argument *generator)
{
    if (generator->handle != NULL) {
        *generator->handle = generator->given.value; /* NULL where it was taken */
        torch.delete_generator(generator->handle);
    }
}

/* bernoulli_(x, p, generator?) -> x */
void
bernoulli_cpu(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    OWNED x = handle_of(stack[0]);
    OWNED_VALUE value = (stable_value *)address_of(stack[2]);
    AT_LAST(release_generator) generator_argument generator = generator_of(value);
    const fd_affine numbers = {1.0, 0.0, 0.0};
    const double p = number_of(stack[1]);
    description described;
    void *y = NULL;
    (void)inputs;
    (void)outputs;
    if (is_served_by(FD_BY_ALL) && p >= 0.0 && p <= 1.0 && keys_of(x) == known.plain[0] &&
        describe(x, &described) && described.n <= FD_SMALL) {
        y = data_to_write(x);
    }
    if (is_stock()) {
        torch.bernoulli_stock(x, p, &generator.given);
    } else if (y == NULL) {
        torch.bernoulli_again(known.in_python[1], x, p, &generator.given);
    } else {
        const fd_seeded place = draw_place(&generator.given, fd_keep_threshold(p));
        const size_t n = (size_t)described.n;
        small_bits kept;
        make_bits(&place, n, &kept);
        if (described.dtype == FD_DTYPES) {
            known.engine->kernels()->unpack(kept.bits, n, (uint8_t *)y);
        } else {
            apply_bits(&kept, n, 1, described.dtype, &numbers, data_of(&known.ones[described.dtype]),
                       y);
        }
    }
    stack[0] = value_of(moved(&x));
}

/* Whether probabilities are read before ones and zeros are written over them. */
static bool
are_apart(const void *p, size_t size_of_p, const void *x, size_t size_of_x, bool same_dtype)
{
    const uintptr_t first = (uintptr_t)p, second = (uintptr_t)x;
    return (first == second && same_dtype) || first + size_of_p <= second ||
           second + size_of_x <= first;
}

/* bernoulli_(x, probabilities, generator?) -> x */
void
bernoulli_tensor_cpu(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    OWNED x = handle_of(stack[0]);
    OWNED p = handle_of(stack[1]);
    OWNED_VALUE value = (stable_value *)address_of(stack[2]);
    AT_LAST(release_generator) generator_argument generator = generator_of(value);
    description of_x, of_p;
    const void *from = NULL;
    void *y = NULL;
    (void)inputs;
    (void)outputs;
    if (is_served_by(FD_BY_ALL) && keys_of(x) == known.plain[0] && describe(x, &of_x) &&
        describe_floats(p, &of_p) && have_one_layout(&of_x, &of_p) &&
        (of_p.dtype == FD_FLOAT32 || of_p.dtype == FD_FLOAT64) &&
        known.engine->are_probabilities(data_of(p), of_p.dtype, (size_t)of_p.n)) {
        const size_t size = of_x.dtype == FD_DTYPES ? 1 : fd_number_size(of_x.dtype);
        y = data_to_write(x);
        from = data_of(p);
        if (!are_apart(from, (size_t)of_p.n * fd_number_size(of_p.dtype), y, (size_t)of_x.n * size,
                       of_p.dtype == of_x.dtype)) {
            y = NULL;
        }
    }
    if (is_stock()) {
        torch.bernoulli_tensor_stock(x, p, &generator.given);
    } else if (y == NULL) {
        torch.bernoulli_tensor_again(known.in_python[1], x, p, &generator.given);
    } else {
        const fd_executor executor = all_threads();
        const fd_arrays arrays = {(const char *)from, NULL, (char *)y};
        const fd_threshold unused = {0, 0};
        const fd_any_mask mask = {.seeded = draw_place(&generator.given, unused)};
        fd_job job = {.kernels = known.engine->kernels(), .mask = &mask, .dtype = of_x.dtype};
        fd_cursor cursor;
        job.as_bytes = of_x.dtype == FD_DTYPES;
        job.dtype_of_p = of_p.dtype;
        memset(&cursor, 0, sizeof(cursor));
        known.engine->bernoulli(&job, &cursor, (size_t)of_x.n, arrays, &executor);
    }
    stack[0] = value_of(moved(&x));
}

#endif
