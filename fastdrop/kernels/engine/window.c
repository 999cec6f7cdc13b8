/* SPDX-License-Identifier: BSD-3-Clause */
#include "window.h"

/* Decisions between two elements that are as soon drawn as skipped. */
enum { NEARBY = 256 };

/* Rows along an axis of a piece that has no more than a tile of decisions, and of elements. */
static int64_t
rows_of(const fd_pieces *walk, int axis)
{
    const uint64_t stride = (uint64_t)walk->view.stride[axis];
    uint64_t rows = FD_TILE / walk->row_elements;
    if (stride > NEARBY) {
        return 1;
    }
    if (stride && (FD_TILE - walk->row_span) / stride < rows) {
        rows = (FD_TILE - walk->row_span) / stride + 1;
    }
    return rows < (uint64_t)walk->view.shape[axis] ? (int64_t)rows : walk->view.shape[axis];
}

/* Takes as many axes into a piece as fit, the last ones first. */
static void
find_cut(fd_pieces *walk)
{
    walk->cut = walk->view.ndim - 1;
    walk->row_elements = 1;
    walk->row_span = 1;
    for (;; walk->cut--) {
        const int64_t length = walk->view.shape[walk->cut];
        walk->rows = rows_of(walk, walk->cut);
        if (walk->cut == 0 || walk->rows < length) {
            return;
        }
        walk->row_elements *= (size_t)length;
        walk->row_span += (uint64_t)(length - 1) * (uint64_t)walk->view.stride[walk->cut];
    }
}

/* Places are computed modulo 2^64: the walk may go past the last one, and come back. */
static void
go(fd_pieces *walk, int axis, int64_t steps)
{
    walk->at += (uint64_t)steps * (uint64_t)walk->view.stride[axis];
}

size_t
fd_pieces_at(fd_pieces *walk, const fd_view *window, uint64_t first)
{
    fd_view *view = &walk->view;
    *view = fd_view_merged(window);
    if (view->ndim == 0) { /* one element */
        view->shape[0] = view->stride[0] = 1;
        view->ndim = 1;
    }
    find_cut(walk);
    const uint64_t row = first / walk->row_elements;
    const uint64_t skipped = first % walk->row_elements;
    const uint64_t length = (uint64_t)view->shape[walk->cut];
    const int64_t begun = (int64_t)(row % length % (uint64_t)walk->rows);
    uint64_t outer = row / length;
    walk->at = (uint64_t)view->offset;
    walk->row = (int64_t)(row % length) - begun;
    go(walk, walk->cut, walk->row);
    for (int axis = walk->cut - 1; axis >= 0; axis--) {
        walk->index[axis] = (int64_t)(outer % (uint64_t)view->shape[axis]);
        outer /= (uint64_t)view->shape[axis];
        go(walk, axis, walk->index[axis]);
    }
    return (size_t)begun * walk->row_elements + (size_t)skipped;
}

static int64_t
rows_here(const fd_pieces *walk)
{
    const int64_t left = walk->view.shape[walk->cut] - walk->row;
    return left < walk->rows ? left : walk->rows;
}

fd_piece
fd_pieces_piece(const fd_pieces *walk)
{
    const int last = walk->view.ndim - 1;
    const uint64_t rows = (uint64_t)rows_here(walk);
    const uint64_t reach = rows > 1 ? (rows - 1) * (uint64_t)walk->view.stride[walk->cut] : 0;
    const size_t elements = (size_t)rows * walk->row_elements;
    const int is_row = walk->cut == last || (walk->cut == last - 1 && rows == 1);
    const int is_run = elements == 1 || (is_row && walk->view.stride[last] == 1);
    const fd_piece piece = {walk->at, (size_t)(walk->row_span + reach), elements, is_run};
    return piece;
}

fd_view
fd_pieces_view(const fd_pieces *walk)
{
    fd_view view = {.offset = 0, .ndim = walk->view.ndim - walk->cut};
    for (int axis = 0; axis < view.ndim; axis++) {
        view.shape[axis] = walk->view.shape[walk->cut + axis];
        view.stride[axis] = walk->view.stride[walk->cut + axis];
    }
    view.shape[0] = rows_here(walk);
    return view;
}

void
fd_pieces_next(fd_pieces *walk)
{
    const int64_t rows = rows_here(walk);
    go(walk, walk->cut, rows);
    walk->row += rows;
    if (walk->row < walk->view.shape[walk->cut]) {
        return;
    }
    go(walk, walk->cut, -walk->row);
    walk->row = 0;
    for (int axis = walk->cut - 1; axis >= 0; axis--) {
        go(walk, axis, 1);
        if (++walk->index[axis] < walk->view.shape[axis]) {
            return;
        }
        go(walk, axis, -walk->index[axis]);
        walk->index[axis] = 0;
    }
}
