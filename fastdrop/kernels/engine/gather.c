/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

/* ---- the squares of a view --------------------------------------------------------------- */

/* A view whose neighbouring axes are one axis where they can be, and none of length 1. */
static fd_view
merged(const fd_view *view)
{
    fd_view few = {.offset = view->offset};
    for (int axis = 0; axis < view->ndim; axis++) {
        const int last = few.ndim - 1;
        if (view->shape[axis] == 1) {
            continue;
        }
        if (few.ndim && few.stride[last] == view->shape[axis] * view->stride[axis]) {
            few.shape[last] *= view->shape[axis];
            few.stride[last] = view->stride[axis];
            continue;
        }
        few.shape[few.ndim] = view->shape[axis];
        few.stride[few.ndim++] = view->stride[axis];
    }
    return few;
}

/* A walk over the parts of a merged view: along its last axis, and, where elements that are read
 * follow each other along another one, `dense`, along that too: a matrix and its transpose. */
typedef struct {
    fd_view view;
    int last, dense; /* dense: -1 where there is none */
    int64_t index[FD_MAX_DIMS], at;
    uint64_t pitch[FD_MAX_DIMS]; /* strides of the result */
    uint64_t to_at, size;
} part_walk;

/* Returns whether there is a part. */
static int
part_first(part_walk *walk, const fd_view *view)
{
    memset(walk, 0, sizeof(*walk));
    walk->view = merged(view);
    if (walk->view.ndim == 0) { /* one element */
        walk->view.ndim = 1;
        walk->view.shape[0] = walk->view.stride[0] = 1;
    }
    walk->last = walk->view.ndim - 1;
    walk->dense = -1;
    walk->at = walk->view.offset;
    walk->size = 1;
    for (int axis = walk->last; axis >= 0; axis--) {
        walk->pitch[axis] = walk->size;
        walk->size *= (uint64_t)walk->view.shape[axis];
        if (walk->view.stride[axis] == 1) {
            walk->dense = axis;
        }
    }
    return walk->size > 0;
}

static int
part_next(part_walk *walk)
{
    for (int axis = walk->last - 1; axis >= 0; axis--) {
        if (axis == walk->dense) {
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

/* ---- bits -------------------------------------------------------------------------------- */

/* Bits [at, at + 64). Those past the end of the array are whatever the padding holds. */
static uint64_t
read_word(const uint8_t *bits, uint64_t at)
{
    const uint8_t *first = bits + at / 8;
    const unsigned shift = (unsigned)(at % 8);
    /* 1 + 63 - shift: a shift by 64 is not defined. */
    return fd_load_le64(first) >> shift | (uint64_t)first[8] << 1 << (63 - shift);
}

/* Sets bits [at, at + count), count <= 64, that are 0 so far. */
static void
write_word(uint8_t *bits, uint64_t at, uint64_t value, size_t count)
{
    uint8_t *first = bits + at / 8;
    const unsigned shift = (unsigned)(at % 8);
    value &= fd_low_bits(count);
    fd_store_le64(first, fd_load_le64(first) | value << shift);
    first[8] |= (uint8_t)(value >> 1 >> (63 - shift));
}

/* Of each block of 2 * size words, the upper right and the lower left size x size bits change
 * places; `right` has the bits of the left columns' width. */
FD_INLINE void
exchange(uint64_t words[64], const unsigned size, const uint64_t right)
{
    for (unsigned block = 0; block < 64; block += 2 * size) {
        for (unsigned i = block; i < block + size; i++) {
            const uint64_t changed = (words[i] >> size ^ words[i + size]) & right;
            words[i] ^= changed << size;
            words[i + size] ^= changed;
        }
    }
}

/* Exchanges rows and columns: afterwards bit r of word c is what was bit c of word r (Warren,
 * Hacker's Delight, 2nd edition, section 7-3). */
static void
transpose(uint64_t words[64])
{
    exchange(words, 32, 0x00000000FFFFFFFFu);
    exchange(words, 16, 0x0000FFFF0000FFFFu);
    exchange(words, 8, 0x00FF00FF00FF00FFu);
    exchange(words, 4, 0x0F0F0F0F0F0F0F0Fu);
    exchange(words, 2, 0x3333333333333333u);
    exchange(words, 1, 0x5555555555555555u);
}

/* Bits that follow each other in both arrays. */
static void
copy_run(const uint8_t *FD_RESTRICT from, uint64_t at, size_t n, uint8_t *FD_RESTRICT to,
         uint64_t to_at)
{
    for (size_t i = 0; i < n; i += 64) {
        write_word(to, to_at + i, read_word(from, at + i), fd_min(64, n - i));
    }
}

/* Bits that follow each other in the result alone. */
static void
gather_run(const uint8_t *FD_RESTRICT from, int64_t at, int64_t stride, size_t n,
           uint8_t *FD_RESTRICT to, uint64_t to_at)
{
    for (size_t i = 0; i < n; i += 64) {
        const size_t count = fd_min(64, n - i);
        uint64_t word = 0;
        for (size_t j = 0; j < count; j++, at += stride) {
            word |= (uint64_t)(from[at / 8] >> at % 8 & 1) << j;
        }
        write_word(to, to_at + i, word, count);
    }
}

/* A matrix and its transpose: `rows` follow each other in what is read, `row_stride` apart, and
 * `columns` in the result, where they start `column_stride` apart. */
static void
transpose_matrix(const uint8_t *FD_RESTRICT from, uint64_t at, size_t rows, int64_t row_stride,
                 size_t columns, uint8_t *FD_RESTRICT to, uint64_t to_at, uint64_t column_stride)
{
    uint64_t words[64];
    for (size_t column = 0; column < columns; column += 64) {
        const size_t wide = fd_min(64, columns - column);
        for (size_t row = 0; row < rows; row += 64) {
            const size_t high = fd_min(64, rows - row);
            for (size_t i = 0; i < high; i++) {
                words[i] =
                    read_word(from, at + (uint64_t)((int64_t)(row + i) * row_stride) + column);
            }
            for (size_t i = high; i < 64; i++) {
                words[i] = 0;
            }
            transpose(words);
            uint64_t end = to_at + column * column_stride + row;
            if (column_stride == high) { /* they follow each other: collected into whole words */
                uint64_t word = 0;
                size_t count = 0;
                for (size_t j = 0; j < wide; j++) {
                    const uint64_t value = words[j] & fd_low_bits(high);
                    word |= value << count;
                    if (count + high >= 64) {
                        write_word(to, end, word, 64);
                        end += 64;
                        word = value >> 1 >> (63 - count);
                        count -= 64;
                    }
                    count += high;
                }
                if (count) {
                    write_word(to, end, word, count);
                }
                continue;
            }
            for (size_t j = 0; j < wide; j++, end += column_stride) {
                write_word(to, end, words[j], high);
            }
        }
    }
}

void
fd_gather_bits(const fd_view *view, const uint8_t *FD_RESTRICT from, uint8_t *FD_RESTRICT to)
{
    part_walk walk;
    if (!part_first(&walk, view)) {
        return;
    }
    const int last = walk.last, dense = walk.dense;
    const size_t n = (size_t)walk.view.shape[last];
    memset(to, 0, (size_t)((walk.size + 7) / 8) + 8);
    do {
        if (dense == last) {
            copy_run(from, (uint64_t)walk.at, n, to, walk.to_at);
        } else if (dense >= 0) {
            transpose_matrix(from, (uint64_t)walk.at, n, walk.view.stride[last],
                             (size_t)walk.view.shape[dense], to, walk.to_at, walk.pitch[dense]);
        } else {
            gather_run(from, walk.at, walk.view.stride[last], n, to, walk.to_at);
        }
    } while (part_next(&walk));
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* What is turned at once: whole lines of the cache are written, and few of them, so that they stay
 * in it together where they are a power of two apart. */
enum { SQUARE_ROWS = 16, SQUARE_COLUMNS = 8 };

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
    part_walk walk;
    if (!part_first(&walk, view)) {
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
    } while (part_next(&walk));
}
