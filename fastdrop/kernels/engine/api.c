/* SPDX-License-Identifier: BSD-3-Clause */
#include "api.h"

#include "numpy_words.h"
#include "settings.h"
#include "threads.h"

static int
are_past_caches(const fd_arrays *arrays, size_t size)
{
    const size_t count = arrays->other == NULL ? 2 : 3;
    return arrays->x != arrays->y && arrays->other != arrays->y &&
           count * size > fd_last_level_cache();
}

static uint64_t
next_of_stream(fd_stream *stream, size_t n)
{
    return fd_stream_next(fd_active_kernels(), stream, n);
}

static int
numpy_bytes(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept)
{
    return fd_numpy_bytes(fd_active_kernels(), bitgen, n, limit, kept, fd_pool().ask);
}

static int
numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept)
{
    return fd_numpy_doubles(bitgen, n, limit, kept, fd_pool().ask);
}

static int
numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept)
{
    return fd_numpy_floats(bitgen, n, limit, kept, fd_pool().ask);
}

static int
numpy_normals(bitgen_t *bitgen, size_t n, float deviation, float *factors)
{
    return fd_numpy_normals(fd_active_kernels(), bitgen, n, deviation, factors, fd_pool().ask);
}

const fd_api fd_engine = {
    .kernels = fd_active_kernels,
    .pool = fd_pool,
    .lent = fd_lent,
    .lend = fd_lend,
    .sources = fd_sources,
    .forks = fd_fork_count,
    .are_past_caches = are_past_caches,
    .apply = fd_apply,
    .multiply = fd_multiply,
    .draw = fd_draw,
    .bernoulli = fd_bernoulli,
    .are_probabilities = fd_are_probabilities,
    .apply_boxes = fd_apply_boxes,
    .multiply_boxes = fd_multiply_boxes,
    .apply_part = fd_apply_part,
    .attend = fd_attend,
    .norm_room = fd_norm_room,
    .norm_rows = fd_norm_rows,
    .gather_bits = fd_gather_bits,
    .gather_items = fd_gather_items,
    .exact_list = fd_exact_list,
    .exact_words = fd_exact_words,
    .exact_correct = fd_exact_correct,
    .next = next_of_stream,
    .numpy_bytes = numpy_bytes,
    .numpy_doubles = numpy_doubles,
    .numpy_floats = numpy_floats,
    .numpy_normals = numpy_normals,
};
