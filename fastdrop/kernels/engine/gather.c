/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

fd_view
fd_view_merged(const fd_view *view)
{
    fd_view few = {.offset = view->offset};
    for (int axis = 0; axis < view->ndim; axis++) {
        const int last = few.ndim - 1;
        if (view->shape[axis] == 1) {
            continue;
        }
        if (few.ndim && (uint64_t)few.stride[last] ==
                            (uint64_t)view->shape[axis] * (uint64_t)view->stride[axis]) {
            few.shape[last] *= view->shape[axis];
            few.stride[last] = view->stride[axis];
            continue;
        }
        few.shape[few.ndim] = view->shape[axis];
        few.stride[few.ndim++] = view->stride[axis];
    }
    return few;
}

static void
walk_start(fd_view_walk *walk, const fd_view *view, int to_runs)
{
    memset(walk, 0, sizeof(*walk));
    walk->view = fd_view_merged(view);
    fd_view *few = &walk->view;
    if (few->ndim == 0 || (to_runs && few->stride[few->ndim - 1] != 1)) { /* runs of one element */
        few->shape[few->ndim] = few->stride[few->ndim] = 1;
        few->ndim++;
    }
    walk->last = few->ndim - 1;
    walk->dense = -1;
    walk->at = few->offset;
    walk->size = 1;
    for (int axis = walk->last; axis >= 0; axis--) {
        walk->pitch[axis] = walk->size;
        walk->size *= (uint64_t)few->shape[axis];
        if (few->stride[axis] == 1) {
            walk->dense = axis;
        }
    }
}

int
fd_runs_first(fd_view_walk *walk, const fd_view *view)
{
    walk_start(walk, view, 1);
    return walk->size > 0;
}

int
fd_runs_next(fd_view_walk *walk)
{
    for (int axis = walk->last - 1; axis >= 0; axis--) {
        if (walk->skipped[axis]) {
            continue;
        }
        const int64_t length = walk->view.shape[axis];
        walk->at += walk->view.stride[axis];
        walk->to_at += walk->pitch[axis];
        if (++walk->index[axis] < length) {
            return 1;
        }
        walk->at -= walk->view.stride[axis] * length;
        walk->to_at -= walk->pitch[axis] * (uint64_t)length;
        walk->index[axis] = 0;
    }
    return 0;
}

int
fd_matrices_first(fd_view_walk *walk, const fd_view *view)
{
    walk_start(walk, view, 0);
    if (walk->dense >= 0) {
        walk->skipped[walk->dense] = 1;
    }
    return walk->size > 0;
}

/* What is turned at once: whole lines of the cache are written, and few of them, so that they stay
 * in it together where they are a power of two apart. */
enum { SQUARE_ROWS = 16, SQUARE_COLUMNS = 8 };

#if FD_X86_64
#include <emmintrin.h>

/* 4 x 4 items of 4 bytes, the strides in bytes. */
FD_INLINE void
turn_small_square(const char *from, ptrdiff_t row_stride, char *to, ptrdiff_t column_stride)
{
    __m128i row[4];
    for (int i = 0; i < 4; i++) {
        row[i] = _mm_loadu_si128((const __m128i *)(from + i * row_stride));
    }
    const __m128i low = _mm_unpacklo_epi32(row[0], row[1]),
                  high = _mm_unpackhi_epi32(row[0], row[1]);
    const __m128i low2 = _mm_unpacklo_epi32(row[2], row[3]),
                  high2 = _mm_unpackhi_epi32(row[2], row[3]);
    const __m128i column[4] = {_mm_unpacklo_epi64(low, low2), _mm_unpackhi_epi64(low, low2),
                               _mm_unpacklo_epi64(high, high2), _mm_unpackhi_epi64(high, high2)};
    for (int i = 0; i < 4; i++) {
        _mm_storeu_si128((__m128i *)(to + i * column_stride), column[i]);
    }
}

/* A whole square of items of 4 bytes; returns whether there is a fast way. */
FD_INLINE int
turn_square(const char *from, int64_t row_stride, char *to, uint64_t column_stride)
{
    const ptrdiff_t row_bytes = (ptrdiff_t)row_stride * 4;
    const ptrdiff_t column_bytes = (ptrdiff_t)column_stride * 4;
    for (int column = 0; column < SQUARE_COLUMNS; column += 4) {
        for (int row = 0; row < SQUARE_ROWS; row += 4) {
            turn_small_square(from + row * row_bytes + 4 * column, row_bytes,
                              to + column * column_bytes + 4 * row, column_bytes);
        }
    }
    return 1;
}
#else
#define turn_square(from, row_stride, to, column_stride) 0
#endif

/* Of items of one size: `rows` of what is read follow each other in the result, and are row_stride
 * apart; columns of what is read are column_stride apart in the result. */
#define FD_DEFINE_TRANSPOSE_ITEMS(NAME, BYTES)                                                     \
    static void NAME(const char *FD_RESTRICT from, int64_t row_stride, size_t rows,                \
                     char *FD_RESTRICT to, uint64_t column_stride, size_t columns)                 \
    {                                                                                              \
        for (size_t column = 0; column < columns; column += SQUARE_COLUMNS) {                      \
            const size_t wide = fd_min(SQUARE_COLUMNS, columns - column);                          \
            for (size_t row = 0; row < rows; row += SQUARE_ROWS) {                                 \
                const size_t high = fd_min(SQUARE_ROWS, rows - row);                               \
                if (BYTES == 4 && wide == SQUARE_COLUMNS && high == SQUARE_ROWS &&                 \
                    turn_square(from + ((int64_t)row * row_stride + (int64_t)column) * BYTES,      \
                                row_stride, to + (column * column_stride + row) * BYTES,           \
                                column_stride)) {                                                  \
                    continue;                                                                      \
                }                                                                                  \
                for (size_t j = column; j < column + wide; j++) {                                  \
                    for (size_t i = row; i < row + high; i++) {                                    \
                        memcpy(to + (j * column_stride + i) * BYTES,                               \
                               from + ((int64_t)i * row_stride + (int64_t)j) * BYTES, BYTES);      \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

FD_DEFINE_TRANSPOSE_ITEMS(transpose_2, 2)
FD_DEFINE_TRANSPOSE_ITEMS(transpose_4, 4)
FD_DEFINE_TRANSPOSE_ITEMS(transpose_8, 8)
FD_DEFINE_TRANSPOSE_ITEMS(transpose_16, 16)

void
fd_gather_items(const fd_view *view, size_t item, const char *FD_RESTRICT from,
                char *FD_RESTRICT to)
{
    fd_view_walk walk;
    if (!fd_matrices_first(&walk, view)) {
        return;
    }
    const int last = walk.last;
    const size_t n = (size_t)walk.view.shape[last];
    const int64_t stride = walk.view.stride[last];
    /* Where nothing that is read is dense, a run is a matrix of one column. */
    const size_t columns = walk.dense < 0 ? 1 : (size_t)walk.view.shape[walk.dense];
    const uint64_t pitch = walk.dense < 0 ? 1 : walk.pitch[walk.dense];
    do {
        const char *first = from + walk.at * (int64_t)item;
        char *target = to + walk.to_at * item;
        if (walk.dense == last) {
            memcpy(target, first, n * item);
        } else if (item == 2) {
            transpose_2(first, stride, n, target, pitch, columns);
        } else if (item == 4) {
            transpose_4(first, stride, n, target, pitch, columns);
        } else if (item == 8) {
            transpose_8(first, stride, n, target, pitch, columns);
        } else {
            transpose_16(first, stride, n, target, pitch, columns);
        }
    } while (fd_runs_next(&walk));
}
