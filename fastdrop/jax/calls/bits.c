/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include <string.h>

/* Steps of a stream that one thread makes at once: four blocks, whose lanes are seeded anyway. */
enum { STEPS = 4 * FD_BLOCK_STEPS };

typedef struct {
    fd_seeded stream;
    const fd_kernels *kernels;
    uint8_t *to;
    size_t n;
} filling;

static void
fill_part(void *context, size_t index, size_t worker)
{
    const filling *all = (const filling *)context;
    const size_t start = index * STEPS * FD_STEP;
    const size_t n = fd_min(STEPS * FD_STEP, all->n - start), whole = n / FD_STEP;
    const fd_identity *identity = &all->stream.identity;
    fd_lanes lanes = {.ready = 0};
    FD_ALIGN64 uint8_t last[FD_STEP];
    (void)worker;
    if (whole) {
        all->kernels->fill[all->stream.source](identity, &lanes, index * STEPS, whole,
                                               all->to + start);
    }
    if (n % FD_STEP) {
        all->kernels->fill[all->stream.source](identity, &lanes, index * STEPS + whole, 1, last);
        memcpy(all->to + start + whole * FD_STEP, last, n % FD_STEP);
    }
}

xla_error *
fd_call_bits(xla_call *call)
{
    if (fd_call_is_question(call)) {
        return NULL;
    }
    const xla_buffer *key = call->arguments.buffers[0], *result = call->results.buffers[0];
    const int64_t source = fd_call_attribute(call, "source");
    const size_t keys = fd_call_product(result->dims, 0, key->rank - 1);
    const fd_executor executor = fd_call_threads();
    filling all = {.kernels = fd_calls_engine->kernels(), .to = (uint8_t *)result->data};
    all.n = fd_call_product(result->dims, key->rank - 1, result->rank) *
            (size_t)fd_call_attribute(call, "size");
    const size_t tasks = (all.n + STEPS * FD_STEP - 1) / (STEPS * FD_STEP);
    const size_t workers = fd_min(executor.workers, tasks);
    for (size_t i = 0; i < keys; i++, all.to += all.n) {
        all.stream = fd_call_stream(key, i, source);
        if (workers > 1) {
            executor.run(tasks, workers, fill_part, &all, NULL);
            continue;
        }
        for (size_t index = 0; index < tasks; index++) {
            fill_part(&all, index, 0);
        }
    }
    return NULL;
}
