/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arrays cut into boxes: how long these are, and where each begins.
 */
#ifndef FD_GRID_H
#define FD_GRID_H

#include "boxes.h"

/* What a box has of each array that is turned, and how many times as much of numbers: these wait in
 * the second-level cache, so that a stream is entered for long rows. */
enum { FD_BOX_BYTES = 16384, FD_BOX_NUMBERS = 4 };

/* The arrays, by their strides: y, those that are read, the indices in C order, and the places in
 * y's order. */
enum { FD_OF_Y, FD_OF_X, FD_OF_OTHER, FD_OF_INDEX, FD_OF_PLACE, FD_ARRAYS };

/* Arrays in boxes. Axes are in y's order, as few as there can be. */
typedef struct {
    int ndim;
    int64_t shape[FD_MAX_DIMS], stride[FD_ARRAYS][FD_MAX_DIMS];
    int by_index[FD_MAX_DIMS];                       /* the axes, largest step of the index first */
    int64_t length[FD_MAX_DIMS], count[FD_MAX_DIMS]; /* of a box; of boxes along the axis */
    int turned[FD_ARRAYS]; /* whether the array, or the numbers, are brought into y's order */
    size_t boxes, size;    /* how many; elements of one, at most */
} fd_grid;

/* One box: its lengths, and where its first element is in each array. */
typedef struct {
    int64_t length[FD_MAX_DIMS], first[FD_ARRAYS];
} fd_box;

/* Boxes that have so many bytes of each array that is turned, at most. */
fd_grid fd_grid_of(const fd_box_work *work, size_t item, const fd_orders *orders, fd_arrays arrays,
                   size_t bytes);

/* Neighbours in the stream, or else in y, follow each other. */
fd_box fd_box_at(const fd_grid *grid, size_t index);

#endif
