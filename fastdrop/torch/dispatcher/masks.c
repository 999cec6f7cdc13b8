/* SPDX-License-Identifier: BSD-3-Clause */
#include "masks.h"

#ifdef FD_HAS_DISPATCHER

#include <sched.h>

static size_t taken[FD_WORDS];

/* Takes one of the tensors that words are drawn to; each is taken for a moment only. */
static size_t
take_words(void)
{
    size_t place = 0;
    while (!fd_shared_take(&taken[place])) {
        place = (place + 1) % FD_WORDS;
        if (place == 0) {
            sched_yield();
        }
    }
    return place;
}

static void
give_words_back(const size_t *place)
{
    fd_shared_write(&taken[*place], 0);
}

fd_seeded
draw_place(optional_pointer *generator, fd_threshold threshold)
{
    AT_LAST(give_words_back) const size_t place = take_words();
    fd_seeded seeded = {.source = FD_XOSHIRO256PLUSPLUS, .threshold = threshold};
    optional_pointer none = {NULL, false};
    torch.random(&known.drawn[place], generator == NULL ? &none : generator);
    seeded.identity = fd_identity_of((const uint64_t *)data_of(&known.words[place]));
    seeded.ties = fd_tagged(&seeded.identity, known.engine->sources[seeded.source].tie_tag);
    return seeded;
}

void
make_bits(const fd_seeded *place, size_t n, small_bits *out)
{
    const fd_executor alone = {.workers = 1};
    const fd_arrays arrays = {NULL, NULL, (char *)out->bits};
    const fd_any_mask mask = {.seeded = *place};
    const fd_job job = {.kernels = known.engine->kernels(), .mask = &mask};
    fd_cursor cursor;
    memset(&cursor, 0, sizeof(cursor));
    known.engine->draw(&job, &cursor, n, arrays, &alone);
}

fd_executor
all_threads(void)
{
    uint32_t threads = 1;
    torch.threads(&threads);
    fd_executor executor = known.engine->lent(threads);
    executor.ask = NULL; /* whoever waits may not be Python */
    return executor;
}

void
apply_bits(const small_bits *kept, size_t n, size_t run, fd_dtype dtype, const fd_affine *numbers,
           const void *x, void *y)
{
    const fd_executor executor = all_threads();
    const fd_arrays arrays = {(const char *)x, NULL, (char *)y};
    const bool is_scaled = numbers->shift == 0.0 && numbers->dropped == 0.0;
    fd_broadcast broadcast;
    fd_any_mask mask = {.packed = kept->bits};
    fd_cursor cursor;
    fd_job job = {.kernels = known.engine->kernels(), .mask = &mask, .dtype = dtype};
    job.components = 1;
    job.operation = is_scaled ? FD_SCALE : FD_AFFINE;
    job.scale = numbers->scale;
    job.shift = numbers->shift;
    job.dropped = numbers->dropped;
    job.past_caches = known.engine->are_past_caches(&arrays, n * fd_number_size(dtype));
    if (run != 1) {
        broadcast.ndim = 2;
        broadcast.shape[0] = (int64_t)(n / run);
        broadcast.stride[0] = 1;
        broadcast.shape[1] = (int64_t)run;
        broadcast.stride[1] = 0;
        mask.broadcast = &broadcast;
    }
    memset(&cursor, 0, sizeof(cursor));
    known.engine->apply(&job, &cursor, n, arrays, &executor);
}

#endif
