/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Some elements of a mask, in ascending order of their places. They are drawn piece by piece: what
 * lies between two pieces is skipped, and what lies between the elements of a piece is drawn too.
 */
#ifndef FD_WINDOW_H
#define FD_WINDOW_H

#include "gather.h"

/* A walk over the pieces. The axis `cut` is the one that pieces cut. They are whole along the axes
 * after it, and have one place on those before. */
typedef struct {
    fd_view view; /* of the window: merged */
    int cut;
    int64_t rows;                    /* of a piece along `cut`, at most */
    size_t row_elements;             /* elements that a row has ... */
    uint64_t row_span;               /* ... and decisions from its first to its last */
    int64_t index[FD_MAX_DIMS], row; /* where the walk is */
    uint64_t at;                     /* the first element of the row `row`, in the mask */
} fd_pieces;

/* One piece. Its span is at most FD_TILE decisions, and so are its elements. */
typedef struct {
    uint64_t at;           /* its first element, in the mask */
    size_t span, elements; /* decisions from its first element to its last, and those that it has */
    int is_run;            /* whether its elements are those of its span, in order */
} fd_piece;

/* Starts the walk at the piece with element `first` of a window that has elements. Strides are not
 * negative, and the last axis has the smallest. Returns how many elements of the piece come before
 * that. */
size_t fd_pieces_at(fd_pieces *walk, const fd_view *window, uint64_t first);

/* The piece that the walk is at. */
fd_piece fd_pieces_piece(const fd_pieces *walk);

/* Its elements, as a view of the decisions of its span. */
fd_view fd_pieces_view(const fd_pieces *walk);

/* Goes on to the next piece; after the last one, to the first. */
void fd_pieces_next(fd_pieces *walk);

#endif
