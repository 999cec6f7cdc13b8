/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arrays laid over larger ones, whose shape they broadcast to, and walks over the elements of
 * these.
 */
#ifndef FD_BROADCAST_H
#define FD_BROADCAST_H

#include "../kernels.h"

enum { FD_MAX_DIMS = 64 }; /* as NumPy */

/* How the elements of an array, in C order, map to the bits of a smaller mask, or to an array of
 * numbers. */
typedef struct {
    int ndim; /* 0: one to one */
    int64_t shape[FD_MAX_DIMS], stride[FD_MAX_DIMS];
} fd_broadcast;

/* A walk over the elements of an array, by runs along the last axis. `at` is the index, in the small
 * array, of what the next element meets. `step` is the distance there between what two neighbours in
 * a run meet: 1, or 0 where they share it. */
typedef struct {
    const fd_broadcast *broadcast;
    int64_t index[FD_MAX_DIMS], at;
    size_t step;
} fd_walk;

FD_INLINE void
fd_walk_start(fd_walk *walk, const fd_broadcast *broadcast, uint64_t first)
{
    walk->broadcast = broadcast;
    walk->at = 0;
    walk->step = (size_t)broadcast->stride[broadcast->ndim - 1];
    for (int axis = broadcast->ndim - 1; axis >= 0; axis--) {
        walk->index[axis] = (int64_t)(first % (uint64_t)broadcast->shape[axis]);
        first /= (uint64_t)broadcast->shape[axis];
        walk->at += walk->index[axis] * broadcast->stride[axis];
    }
}

/* Elements of the run, at most `most`. */
FD_INLINE size_t
fd_walk_run(const fd_walk *walk, size_t most)
{
    const int last = walk->broadcast->ndim - 1;
    return fd_min((size_t)(walk->broadcast->shape[last] - walk->index[last]), most);
}

/* How many rows there are from here on, within `most` elements, which start this far apart in what
 * is broadcast; 1 if the run is not a whole row. Goes on to the last of them. */
FD_INLINE size_t
fd_walk_rows(fd_walk *walk, size_t run, int64_t apart, size_t most)
{
    const fd_broadcast *broadcast = walk->broadcast;
    const int last = broadcast->ndim - 1;
    if (last == 0 || broadcast->stride[last - 1] != apart ||
        run != (size_t)broadcast->shape[last]) {
        return 1;
    }
    const size_t left = (size_t)(broadcast->shape[last - 1] - walk->index[last - 1]);
    const size_t rows = fd_min(left, most / run);
    walk->index[last - 1] += (int64_t)rows - 1;
    walk->at += ((int64_t)rows - 1) * apart;
    return rows;
}

FD_INLINE void
fd_walk_on(fd_walk *walk, size_t run)
{
    const fd_broadcast *broadcast = walk->broadcast;
    int axis = broadcast->ndim - 1;
    walk->at += (int64_t)(run * walk->step);
    walk->index[axis] += (int64_t)run;
    for (; axis > 0 && walk->index[axis] == broadcast->shape[axis]; axis--) {
        walk->at += broadcast->stride[axis - 1] - walk->index[axis] * broadcast->stride[axis];
        walk->index[axis] = 0;
        walk->index[axis - 1]++;
    }
}

/* n times an item of `size` bytes: 1, 4 or 8. */
FD_INLINE void
fd_fill(void *memory, const void *item, size_t size, size_t n)
{
    uint8_t *bytes = (uint8_t *)memory;
    uint32_t half;
    uint64_t word;
    if (size == 8) {
        memcpy(&word, item, 8);
        for (size_t i = 0; i < n; i++) {
            memcpy(bytes + 8 * i, &word, 8);
        }
    } else if (size == 4) {
        memcpy(&half, item, 4);
        for (size_t i = 0; i < n; i++) {
            memcpy(bytes + 4 * i, &half, 4);
        }
    } else {
        memset(bytes, *(const uint8_t *)item, n);
    }
}

/* n times an item of 2, 4, 8 or 16 bytes, in whole groups of 64 bytes: writes up to 63 too many. */
FD_INLINE void
fd_fill_groups(char *memory, const char *item, size_t size, size_t n)
{
    uint64_t word[2];
    for (size_t i = 0; i < sizeof word; i += 8) {
        if (size >= 8) {
            memcpy((char *)word + i, item + i % size, 8);
        } else if (size == 4) {
            memcpy((char *)word + i, item, 4);
            memcpy((char *)word + i + 4, item, 4);
        } else {
            for (size_t j = 0; j < 8; j += 2) {
                memcpy((char *)word + i + j, item, 2);
            }
        }
    }
    for (size_t done = 0; done < n * size; done += 64) {
        for (size_t i = 0; i < 64; i += sizeof word) {
            memcpy(memory + done + i, word, sizeof word);
        }
    }
}

/* Repeats the first `period` bytes, up to `size`. */
FD_INLINE void
fd_repeat(void *memory, size_t period, size_t size)
{
    uint8_t *bytes = (uint8_t *)memory;
    for (size_t done = period, more; done < size; done += more) {
        more = fd_min(done, size - done);
        memcpy(bytes + done, bytes, more);
    }
}

#endif
