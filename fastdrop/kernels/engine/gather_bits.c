/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

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

/* The rows of a matrix of bits in what is read, or its columns in the result: of n, as many as are
 * `inner` start `stride` apart, and the next as many `outer` after these. */
typedef struct {
    size_t n, inner;
    int64_t stride, outer;
} lines;

/* Where a line starts; `left` are to come before the next step of `outer`. */
typedef struct {
    uint64_t at;
    size_t left;
} line;

FD_INLINE line
line_at(const lines *all, uint64_t start, size_t index)
{
    const size_t outer = index / all->inner, inner = index % all->inner;
    const line first = {start + outer * (uint64_t)all->outer + inner * (uint64_t)all->stride,
                        all->inner - inner};
    return first;
}

FD_INLINE void
next_line(const lines *all, line *now)
{
    now->at += (uint64_t)all->stride;
    if (--now->left == 0) {
        now->at += (uint64_t)all->outer - all->inner * (uint64_t)all->stride;
        now->left = all->inner;
    }
}

/* The rows of the axis that follow each other in the result: with those of the axis before, where 64
 * are not there. */
static lines
rows_of(fd_view_walk *walk)
{
    const fd_view *view = &walk->view;
    const int last = walk->last, before = last - 1;
    lines rows = {(size_t)view->shape[last], (size_t)view->shape[last], view->stride[last], 0};
    if (rows.n < 64 && before >= 0 && before != walk->dense) {
        rows.outer = view->stride[before];
        rows.n *= (size_t)view->shape[before];
        walk->skipped[before] = 1;
    }
    return rows;
}

/* The same of the axis that follow each other in what is read, and of the axis that goes on there. */
static lines
columns_of(fd_view_walk *walk)
{
    const fd_view *view = &walk->view;
    const int dense = walk->dense;
    lines columns = {(size_t)view->shape[dense], (size_t)view->shape[dense],
                     (int64_t)walk->pitch[dense], 0};
    for (int axis = 0; axis < walk->last && columns.n < 64; axis++) {
        if (!walk->skipped[axis] && view->stride[axis] == view->shape[dense]) {
            columns.outer = (int64_t)walk->pitch[axis];
            columns.n *= (size_t)view->shape[axis];
            walk->skipped[axis] = 1;
            break;
        }
    }
    return columns;
}

/* Columns that follow each other in the result, collected into whole words. */
static void
write_columns(const uint64_t words[64], size_t wide, size_t high, uint8_t *FD_RESTRICT to,
              uint64_t at)
{
    uint64_t word = 0;
    size_t count = 0;
    for (size_t j = 0; j < wide; j++) {
        const uint64_t value = words[j] & fd_low_bits(high);
        word |= value << count;
        if (count + high >= 64) {
            write_word(to, at, word, 64);
            at += 64;
            word = value >> 1 >> (63 - count);
            count -= 64;
        }
        count += high;
    }
    if (count) {
        write_word(to, at, word, count);
    }
}

/* A matrix and its transpose: rows in what is read become columns of the result. */
static void
transpose_matrix(const uint8_t *FD_RESTRICT from, uint64_t from_at, const lines *rows,
                 uint8_t *FD_RESTRICT to, uint64_t to_at, const lines *columns)
{
    uint64_t words[64];
    for (size_t first = 0; first < columns->n; first += 64) {
        const size_t wide = fd_min(64, columns->n - first);
        for (size_t start = 0; start < rows->n; start += 64) {
            const size_t high = fd_min(64, rows->n - start);
            line row = line_at(rows, from_at + first, start);
            for (size_t i = 0; i < high; i++, next_line(rows, &row)) {
                words[i] = read_word(from, row.at);
            }
            for (size_t i = high; i < 64; i++) {
                words[i] = 0;
            }
            transpose(words);
            line column = line_at(columns, to_at + start, first);
            if (columns->inner == columns->n && columns->stride == (int64_t)high) {
                write_columns(words, wide, high, to, column.at);
                continue;
            }
            for (size_t j = 0; j < wide; j++, next_line(columns, &column)) {
                write_word(to, column.at, words[j], high);
            }
        }
    }
}

void
fd_gather_bits(const fd_view *view, const uint8_t *FD_RESTRICT from, uint8_t *FD_RESTRICT to)
{
    fd_view_walk walk;
    if (!fd_matrices_first(&walk, view)) {
        return;
    }
    const int last = walk.last, dense = walk.dense, turned = dense >= 0 && dense != last;
    const size_t n = (size_t)walk.view.shape[last];
    lines rows = {0}, columns = {0};
    if (turned) {
        rows = rows_of(&walk);
        columns = columns_of(&walk);
    }
    memset(to, 0, (size_t)((walk.size + 7) / 8) + 8);
    do {
        if (turned) {
            transpose_matrix(from, (uint64_t)walk.at, &rows, to, walk.to_at, &columns);
        } else if (dense == last) {
            copy_run(from, (uint64_t)walk.at, n, to, walk.to_at);
        } else if (walk.view.stride[last] == -1) {
            reverse_run(from, (uint64_t)walk.at, n, to, walk.to_at);
        } else {
            gather_run(from, (uint64_t)walk.at, (uint64_t)walk.view.stride[last], n, to,
                       walk.to_at);
        }
    } while (fd_runs_next(&walk));
}
