/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a call decides: the same for each key of the batch. */
typedef struct {
    const xla_buffer *key, *p;
    const uint32_t *start, *whole; /* along all axes; NULL: the result is the whole */
    const int64_t *shape;          /* of the result */
    int batch, ndim;               /* the axes of the batch, and all axes of the result */
    int64_t source;
    size_t masks;      /* how many there are */
    size_t elements;   /* of the result, for each mask */
    size_t n;          /* decisions of each mask */
    uint64_t position; /* of the first one */
    int in_runs;       /* they do not follow each other in the stream: see `window` */
    fd_view window;
    fd_broadcast broadcast; /* how the elements share them */
} decisions;

/* The next axis of `broadcast` outwards; merged with the last one where that goes on in it. */
static void
add_axis(fd_broadcast *broadcast, int64_t length, int64_t stride)
{
    const int last = broadcast->ndim - 1;
    if (length == 1) {
        return;
    }
    if (last >= 0 && stride == broadcast->stride[last] * broadcast->shape[last]) {
        broadcast->shape[last] *= length;
        return;
    }
    broadcast->shape[broadcast->ndim] = length;
    broadcast->stride[broadcast->ndim++] = stride;
}

/* Outermost axis first; no axes where each element has its own decision. */
static void
finish(fd_broadcast *broadcast)
{
    for (int first = 0, last = broadcast->ndim - 1; first < last; first++, last--) {
        const int64_t length = broadcast->shape[first], stride = broadcast->stride[first];
        broadcast->shape[first] = broadcast->shape[last];
        broadcast->stride[first] = broadcast->stride[last];
        broadcast->shape[last] = length;
        broadcast->stride[last] = stride;
    }
    if (broadcast->ndim == 1 && broadcast->stride[0] == 1) {
        broadcast->ndim = 0;
    }
}

static void
lay(decisions *all, int64_t shared)
{
    int64_t stride = 1, stride_of_whole = 1;
    int is_whole = 1; /* along the axes after this one */
    all->n = 1;
    all->window.ndim = all->ndim - all->batch;
    for (int axis = all->ndim - 1; axis >= all->batch; axis--) {
        const int place = axis - all->batch;
        const int one = (int)(shared >> place & 1);
        const int64_t length = one ? 1 : all->shape[axis];
        const int64_t of_whole = one || all->whole == NULL ? length : (int64_t)all->whole[axis];
        all->window.shape[place] = length;
        all->window.stride[place] = stride_of_whole;
        if (!one && all->start != NULL) {
            all->position += all->start[axis] * (uint64_t)stride_of_whole;
        }
        all->in_runs |= length > 1 && !is_whole;
        is_whole &= length == of_whole;
        add_axis(&all->broadcast, all->shape[axis], one ? 0 : stride);
        stride *= length;
        stride_of_whole *= of_whole;
        all->n *= (size_t)length;
    }
    finish(&all->broadcast);
}

/* Reads a call; returns 0 where its result has too many axes. */
static int
read_call(const xla_call *call, int place, int64_t shared, decisions *all)
{
    const xla_buffer *result = call->results.buffers[0];
    memset(all, 0, sizeof *all);
    all->key = call->arguments.buffers[0];
    all->p = call->arguments.buffers[1];
    all->shape = result->dims;
    all->batch = (int)all->key->rank - 1;
    all->ndim = (int)result->rank;
    all->source = fd_call_attribute(call, "source");
    if (all->ndim > FD_MAX_DIMS) {
        return 0;
    }
    if (place < call->arguments.size) {
        all->start = (const uint32_t *)call->arguments.buffers[place]->data;
        all->whole = all->start + all->ndim;
    }
    all->masks = fd_call_product(all->shape, 0, all->batch);
    all->elements = fd_call_product(all->shape, all->batch, all->ndim);
    lay(all, shared);
    return 1;
}

static xla_error *
too_many_axes(const xla_call *call)
{
    return fd_call_error(call, XLA_INVALID_ARGUMENT, "fastdrop: an array has more than 64 axes");
}

/* The index of the key of a mask. */
static size_t
index_of_key(const decisions *all, size_t mask)
{
    size_t index = 0, stride = 1;
    for (int axis = all->batch - 1; axis >= 0; axis--) {
        const size_t start = all->start == NULL ? 0 : all->start[axis];
        index += (mask % (size_t)all->shape[axis] + start) * stride;
        mask /= (size_t)all->shape[axis];
        stride *= (size_t)all->key->dims[axis];
    }
    return index;
}

/* The decisions of one mask, and p; an error where that is no probability. */
static xla_error *
decide(const xla_call *call, const decisions *all, size_t mask, fd_seeded *seeded, double *p)
{
    const size_t index = index_of_key(all, mask);
    const uint32_t *words = (const uint32_t *)all->p->data + 2 * index;
    const uint64_t bits = words[0] | (uint64_t)words[1] << 32;
    char message[80];
    memcpy(p, &bits, sizeof *p);
    if (!(*p >= 0.0 && *p <= 1.0)) {
        snprintf(message, sizeof message, "fastdrop: p must be in [0, 1], not %.17g", *p);
        return fd_call_error(call, XLA_INVALID_ARGUMENT, message);
    }
    *seeded = fd_call_stream(all->key, index, all->source);
    seeded->position = all->position;
    seeded->threshold = fd_drop_threshold(*p);
    return NULL;
}

/* Writes the decisions, as bits or as bytes. */
static void
draw(const decisions *all, const fd_seeded *seeded, int dropped, int as_bytes, void *to)
{
    const fd_any_mask mask = {.seeded = *seeded};
    const fd_executor executor = fd_call_threads();
    const fd_arrays arrays = {NULL, NULL, (char *)to};
    fd_job job = {.kernels = fd_calls_engine->kernels(), .mask = &mask};
    fd_cursor cursor;
    job.as_dropped = dropped;
    job.as_bytes = as_bytes;
    job.window = all->in_runs ? &all->window : NULL;
    memset(&cursor, 0, sizeof cursor);
    fd_calls_engine->draw(&job, &cursor, all->n, arrays, &executor);
}

/* The engine's number for a dtype of XLA, and how many numbers there are in an element. */
static fd_dtype
dtype_of(int dtype, int *components)
{
    *components = dtype == XLA_C64 || dtype == XLA_C128 ? 2 : 1;
    switch (dtype) {
    case XLA_F16:
        return FD_FLOAT16;
    case XLA_BF16:
        return FD_BFLOAT16;
    case XLA_F32:
    case XLA_C64:
        return FD_FLOAT32;
    default:
        return FD_FLOAT64;
    }
}

xla_error *
fd_call_drop(xla_call *call)
{
    decisions all;
    fd_seeded seeded;
    fd_job job = {.operation = FD_SCALE};
    uint8_t *bits = NULL;
    xla_error *error = NULL;
    double p;
    if (fd_call_is_question(call)) {
        return NULL;
    }
    if (!read_call(call, 3, fd_call_attribute(call, "shared"), &all)) {
        return too_many_axes(call);
    }
    const xla_buffer *x = call->arguments.buffers[2];
    const fd_executor executor = fd_call_threads();
    job.kernels = fd_calls_engine->kernels();
    job.dtype = dtype_of(x->dtype, &job.components);
    const size_t bytes = all.elements * (size_t)job.components * fd_number_size(job.dtype);
    if (bytes == 0) {
        return NULL;
    }
    if (all.in_runs || all.broadcast.ndim) {
        bits = (uint8_t *)calloc((all.n + 7) / 8 + FD_PADDING, 1);
        if (bits == NULL) {
            return fd_call_error(call, XLA_RESOURCE_EXHAUSTED, "fastdrop: no memory for a mask");
        }
    }
    for (size_t i = 0; i < all.masks && error == NULL; i++) {
        const fd_arrays arrays = {(const char *)x->data + i * bytes, NULL,
                                  (char *)call->results.buffers[0]->data + i * bytes};
        fd_any_mask mask = {.packed = bits};
        fd_cursor cursor;
        error = decide(call, &all, i, &seeded, &p);
        if (error == NULL) {
            if (bits == NULL) {
                mask.seeded = seeded;
            } else {
                draw(&all, &seeded, 0, 0, bits);
                mask.broadcast = all.broadcast.ndim ? &all.broadcast : NULL;
            }
            job.mask = &mask;
            job.scale = p < 1.0 ? 1.0 / (1.0 - p) : 1.0;
            job.past_caches = fd_calls_engine->are_past_caches(&arrays, bytes);
            memset(&cursor, 0, sizeof cursor);
            fd_calls_engine->apply(&job, &cursor, all.elements, arrays, &executor);
        }
    }
    free(bits);
    return error;
}

xla_error *
fd_call_decide(xla_call *call)
{
    decisions all;
    fd_seeded seeded;
    xla_error *error = NULL;
    double p;
    if (fd_call_is_question(call)) {
        return NULL;
    }
    if (!read_call(call, 2, 0, &all)) {
        return too_many_axes(call);
    }
    const int dropped = (int)fd_call_attribute(call, "dropped");
    uint8_t *to = (uint8_t *)call->results.buffers[0]->data;
    for (size_t i = 0; all.n && i < all.masks && error == NULL; i++) {
        error = decide(call, &all, i, &seeded, &p);
        if (error == NULL) {
            draw(&all, &seeded, dropped, 1, to + i * all.n);
        }
    }
    return error;
}
