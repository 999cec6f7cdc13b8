/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

/* ---- the squares of a view --------------------------------------------------------------- */

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
        if (axis == walk->dense && walk->skips) {
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

/* The same over matrices: along the last axis, and along the dense one too, where that is another:
 * a matrix and its transpose. */
static int
matrices_first(fd_view_walk *walk, const fd_view *view)
{
    walk_start(walk, view, 0);
    walk->skips = 1;
    return walk->size > 0;
}

/* ---- bits -------------------------------------------------------------------------------- */

/* Bits [at, at + 64). Those past the end of the array are whatever the padding holds. */
static uint64_t
read_word(const uint8_t *bits, uint64_t at)
{
    const uint8_t *first = bits + at / 8;
    const unsigned shift = (unsigned)(at % 8);
    /* The ninth byte is shifted by 64 - shift, in two parts: a shift by 64 is not defined. */
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

/* Takes a 64 x 64 matrix of bits as blocks of 2 * size rows and columns. In each block, the upper
 * right quarter and the lower left one change places. `right` has a 1 for each column of the left
 * half of a block; column 0 is the lowest bit. Example, size 1: of the rows 10b and 00b, `changed` is
 * 1, and they become 00b and 01b. The bit of row 0, column 1, is now that of row 1, column 0. */
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

/* Bits at 0, stride, ... 7 * stride of a word; the stride is a constant where this is inlined. */
FD_INLINE uint64_t
pick_8(uint64_t word, unsigned stride)
{
    const unsigned by = stride - 1;
    return (word & 1) | (word >> by & 2) | (word >> 2 * by & 4) | (word >> 3 * by & 8) |
           (word >> 4 * by & 16) | (word >> 5 * by & 32) | (word >> 6 * by & 64) |
           (word >> 7 * by & 128);
}

/* Bits 2 to 8 apart, as many groups of eight at once as a word has. */
FD_INLINE void
gather_near(const uint8_t *FD_RESTRICT from, uint64_t at, unsigned stride, size_t n,
            uint8_t *FD_RESTRICT to, uint64_t to_at)
{
    const size_t most = 64 / (8 * stride) * 8;
    for (size_t i = 0; i < n; i += most, at += most * stride) {
        const uint64_t word = read_word(from, at);
        uint64_t picked = 0;
        for (unsigned j = 0; j < most; j += 8) {
            picked |= pick_8(word >> j * stride, stride) << j;
        }
        write_word(to, to_at + i, picked, fd_min(most, n - i));
    }
}

static void
gather_far(const uint8_t *FD_RESTRICT from, uint64_t at, uint64_t stride, size_t n,
           uint8_t *FD_RESTRICT to, uint64_t to_at)
{
    for (size_t i = 0; i < n; i += 64) {
        const size_t count = fd_min(64, n - i);
        uint64_t word = 0;
        for (size_t j = 0; j < count; j++, at += stride) { /* the last bit is the highest */
            word = word >> 1 | (uint64_t)(from[at / 8] >> at % 8) << 63;
        }
        write_word(to, to_at + i, word >> (64 - count), count);
    }
}

/* Bits that follow each other in the result alone. */
static void
gather_run(const uint8_t *FD_RESTRICT from, uint64_t at, uint64_t stride, size_t n,
           uint8_t *FD_RESTRICT to, uint64_t to_at)
{
    switch (stride) {
    case 2:
        gather_near(from, at, 2, n, to, to_at);
        break;
    case 3:
        gather_near(from, at, 3, n, to, to_at);
        break;
    case 4:
        gather_near(from, at, 4, n, to, to_at);
        break;
    case 5:
        gather_near(from, at, 5, n, to, to_at);
        break;
    case 6:
        gather_near(from, at, 6, n, to, to_at);
        break;
    case 7:
        gather_near(from, at, 7, n, to, to_at);
        break;
    case 8:
        gather_near(from, at, 8, n, to, to_at);
        break;
    default:
        gather_far(from, at, stride, n, to, to_at);
    }
}

static uint64_t
reversed(uint64_t word)
{
    word = (word >> 1 & 0x5555555555555555u) | (word & 0x5555555555555555u) << 1;
    word = (word >> 2 & 0x3333333333333333u) | (word & 0x3333333333333333u) << 2;
    word = (word >> 4 & 0x0F0F0F0F0F0F0F0Fu) | (word & 0x0F0F0F0F0F0F0F0Fu) << 4;
    return FD_BSWAP64(word);
}

/* Bits that follow each other backwards: the first one is at `at`. */
static void
reverse_run(const uint8_t *FD_RESTRICT from, uint64_t at, size_t n, uint8_t *FD_RESTRICT to,
            uint64_t to_at)
{
    for (size_t i = 0; i < n; i += 64) {
        const size_t count = fd_min(64, n - i);
        const uint64_t word = read_word(from, at + 1 - i - count);
        write_word(to, to_at + i, reversed(word) >> (64 - count), count);
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
    fd_view_walk walk;
    if (!matrices_first(&walk, view)) {
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
        } else if (walk.view.stride[last] == -1) {
            reverse_run(from, (uint64_t)walk.at, n, to, walk.to_at);
        } else {
            gather_run(from, (uint64_t)walk.at, (uint64_t)walk.view.stride[last], n, to,
                       walk.to_at);
        }
    } while (fd_runs_next(&walk));
}

/* ---- numbers ----------------------------------------------------------------------------- */

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
    if (!matrices_first(&walk, view)) {
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
