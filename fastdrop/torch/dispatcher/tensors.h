/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Handles and descriptions of tensors, and the values of a kernel's stack.
 */
#ifndef FD_TENSORS_H
#define FD_TENSORS_H

#include <string.h>

#include "kernels.h"

#define torch fd_pytorch
#define known fd_dispatch

extern size_t fd_served_by;
extern int32_t fd_dtypes[FD_DTYPES], fd_bool_dtype; /* PyTorch's numbers of them */

/* ---- handles ----------------------------------------------------------------------------- */

FD_INLINE void
release_handle(tensor **handle)
{
    if (*handle != NULL) {
        torch.delete_handle(*handle);
    }
}

FD_INLINE void
release_value(stable_value **value)
{
    if (*value != NULL) {
        torch.delete_value(*value);
    }
}

/* What is released at the end of its block, also by an exception. */
#define AT_LAST(FUNCTION) __attribute__((cleanup(FUNCTION)))
#define OWNED AT_LAST(release_handle) tensor *
#define OWNED_VALUE AT_LAST(release_value) stable_value *

/* The handle, which its block then owns no more. */
FD_INLINE tensor *
moved(tensor **owned)
{
    tensor *handle = *owned;
    *owned = NULL;
    return handle;
}

/* A handle of a tensor that a function has returned. */
FD_INLINE tensor *
handle_of_impl(void *impl)
{
    tensor *handle;
    torch.undefined(&handle); /* which counts nothing */
    handle->impl = impl;
    return handle;
}

/* ---- values of the stack ----------------------------------------------------------------- */

FD_INLINE void *
address_of(stable_value value)
{
    return (void *)(uintptr_t)value;
}

FD_INLINE tensor *
handle_of(stable_value value)
{
    return (tensor *)address_of(value);
}

FD_INLINE stable_value
value_of(tensor *handle)
{
    return (stable_value)(uintptr_t)handle;
}

FD_INLINE double
number_of(stable_value value)
{
    double number;
    memcpy(&number, &value, sizeof(number));
    return number;
}

FD_INLINE bool
truth_of(stable_value value)
{
    uint8_t byte;
    memcpy(&byte, &value, 1);
    return byte != 0;
}

/* Which of the two results of native_dropout is the mask, which is of bools: the order in a
 * std::tuple is the library's. */
FD_INLINE int
place_of_mask(const returned *both)
{
    int32_t dtype;
    torch.dtype((const tensor *)&both->words[0], &dtype);
    return dtype == fd_bool_dtype ? 0 : 1;
}

/* A handle of the one result, put on the stack. */
FD_INLINE void
put(returned result, stable_value *stack)
{
    stack[0] = value_of(handle_of_impl(result.words[0]));
}

/* ---- tensors ----------------------------------------------------------------------------- */

typedef struct {
    int64_t dim, n;
    const int64_t *sizes, *strides;
    int32_t dtype_there; /* PyTorch's number */
    fd_dtype dtype;      /* FD_DTYPES: bools */
} description;

FD_INLINE key_set
keys_of(const tensor *x)
{
    key_set keys;
    memcpy(&keys, (const char *)x->impl + known.key_set_offset, sizeof(keys));
    return keys;
}

/* The number of a dtype in the engine; FD_DTYPES: it has none. */
FD_INLINE fd_dtype
dtype_of(int32_t there)
{
    int dtype = 0;
    while (dtype < FD_DTYPES && fd_dtypes[dtype] != there) {
        dtype++;
    }
    return (fd_dtype)dtype;
}

FD_INLINE bool
is_contiguous(const description *x)
{
    int64_t step = 1;
    for (int64_t axis = x->dim; axis-- > 0; step *= x->sizes[axis]) {
        if (x->sizes[axis] != 1 && x->strides[axis] != step) {
            return false;
        }
    }
    return true;
}

/* Whether the elements follow each other in memory, in whatever order of axes. */
FD_INLINE bool
is_dense(const description *x)
{
    if (is_contiguous(x)) {
        return true;
    }
    for (int64_t step = 1, axis; step < x->n; step *= x->sizes[axis]) {
        for (axis = 0; axis < x->dim; axis++) {
            if (x->strides[axis] == step && x->sizes[axis] != 1) {
                break;
            }
        }
        if (axis == x->dim) {
            return false;
        }
    }
    return true;
}

/* Describes a tensor; returns whether it is an address and strides, not empty, and of floats or
 * bools. */
FD_INLINE bool
describe_any(const tensor *x, description *out)
{
    const key_set keys = keys_of(x);
    int64_t *sizes, *strides;
    if (keys != known.plain[0] && keys != known.plain[1]) {
        return false;
    }
    torch.numel(x, &out->n);
    torch.dtype(x, &out->dtype_there);
    out->dtype = dtype_of(out->dtype_there);
    if (out->n == 0 || (out->dtype == FD_DTYPES && out->dtype_there != fd_bool_dtype)) {
        return false;
    }
    torch.dim(x, &out->dim);
    torch.sizes(x, &sizes);
    torch.strides(x, &strides);
    out->sizes = sizes;
    out->strides = strides;
    return out->dim <= FD_MAX_DIMS;
}

/* The same of tensors that are dense. */
FD_INLINE bool
describe(const tensor *x, description *out)
{
    return describe_any(x, out) && is_dense(out);
}

/* Whether two tensors have one shape, and their elements lie in one order. */
FD_INLINE bool
have_one_layout(const description *x, const description *other)
{
    bool same = x->dim == other->dim;
    for (int64_t axis = 0; same && axis < x->dim; axis++) {
        same = x->sizes[axis] == other->sizes[axis] &&
               (x->sizes[axis] == 1 || x->strides[axis] == other->strides[axis]);
    }
    return same;
}

/* NULL where the storage was freed. */
FD_INLINE const void *
data_of(const tensor *x)
{
    const void *data;
    return torch.const_data(x, &data) == 0 ? data : NULL;
}

FD_INLINE void *
data_to_write(const tensor *x)
{
    void *data;
    return torch.mutable_data(x, &data) == 0 ? data : NULL;
}

/* The same of floats that are there. */
FD_INLINE bool
describe_floats(const tensor *x, description *out)
{
    return describe(x, out) && out->dtype != FD_DTYPES && data_of(x) != NULL;
}

FD_INLINE tensor *
empty_like(const description *x, int32_t dtype)
{
    const lengths sizes = {x->sizes, (uint64_t)x->dim}, strides = {x->strides, (uint64_t)x->dim};
    return handle_of_impl(torch.empty(sizes, strides, (int8_t)dtype, false).words[0]);
}

/* How many elements share a decision where whole features are dropped: the axes from the third on.
 * 0: the tensor has no features that these kernels know. */
FD_INLINE size_t
elements_of_feature(const description *x)
{
    size_t run = 1;
    if (x->dim < 2 || !is_contiguous(x)) {
        return 0;
    }
    for (int64_t axis = 2; axis < x->dim; axis++) {
        run *= (size_t)x->sizes[axis];
    }
    return run;
}

/* Whether somebody records what is called, transforms it, or looks on. */
FD_INLINE bool
is_watched(void)
{
    return torch.key_is_included(known.watching[0]) || torch.key_is_included(known.watching[1]) ||
           torch.key_is_included(known.watching[2]);
}

FD_INLINE bool
is_served_by(fd_served by)
{
    return fd_shared_read(&fd_served_by) == (size_t)by;
}

/* Whether PyTorch's own code serves, which is called directly unless somebody looks on. */
FD_INLINE bool
is_stock(void)
{
    return is_served_by(FD_BY_PYTORCH) && !is_watched();
}

#endif
