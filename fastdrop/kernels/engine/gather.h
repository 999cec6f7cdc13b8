/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Elements of an array in another order, or some of them: bits of masks, or numbers. Both go by
 * small squares, so that neither array is read or written far apart.
 */
#ifndef FD_GATHER_H
#define FD_GATHER_H

#include "broadcast.h"

/* Which elements of an array make up the result, in C order: that at `index` is the element at
 * offset + the sum of index[axis] * stride[axis]. */
typedef struct {
    int64_t offset;
    int ndim;
    int64_t shape[FD_MAX_DIMS], stride[FD_MAX_DIMS];
} fd_view;

/* The same view, whose neighbouring axes are one axis where they can be, and none of length 1. */
fd_view fd_view_merged(const fd_view *view);

/* A walk over the runs of a view: along its last axis, once neighbouring axes are one axis where they
 * can be. The run that the walk is at starts at `at` in what is read, and at `to_at` in the result. */
typedef struct {
    fd_view view; /* merged */
    int last;
    int dense; /* an axis along which elements follow each other in what is read; -1: none does */
    int skipped
        [FD_MAX_DIMS]; /* no part of the walk: elements of the axis are taken with each run */
    int64_t index[FD_MAX_DIMS], at;
    uint64_t pitch[FD_MAX_DIMS]; /* strides of the result */
    uint64_t to_at, size;
} fd_view_walk;

/* Starts a walk over runs whose elements follow each other in what is read as well. A run has
 * walk.view.shape[walk.last] elements. Returns whether there is one. */
int fd_runs_first(fd_view_walk *walk, const fd_view *view);

/* The same over matrices: along the last axis, and along the dense one too, where that is another: a
 * matrix and its transpose. */
int fd_matrices_first(fd_view_walk *walk, const fd_view *view);

/* Goes on to the next run, and returns whether there is one. */
int fd_runs_next(fd_view_walk *walk);

/* Bits, lowest first; pad bits become 0. Both arrays have FD_PADDING bytes to spare, and do not
 * overlap. A view without elements writes nothing. */
void fd_gather_bits(const fd_view *view, const uint8_t *FD_RESTRICT from, uint8_t *FD_RESTRICT to);

/* Items of 2, 4, 8 or 16 bytes. The arrays do not overlap. */
void fd_gather_items(const fd_view *view, size_t item, const char *FD_RESTRICT from,
                     char *FD_RESTRICT to);

#endif
