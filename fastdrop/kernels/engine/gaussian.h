/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Gaussian dropout of arrays whose axes lie in another order in memory.
 *
 * Factors follow the indices. They have 32 bits, so they are not all brought into the order of memory,
 * as the bits of other masks are, but box by box: those of a box are made in the order of the stream,
 * turned in the cache, and then multiplied with what lies in memory.
 */
#ifndef FD_GAUSSIAN_H
#define FD_GAUSSIAN_H

#include "job.h"

/* fd_multiply, where the element at an index of `memory` (C order) lies at that place of x and of y:
 * as many places as there are elements. `room` has as many floats as fd_boxes_room says, or fewer, but
 * not fewer than it says of one worker: then fewer work. */
int fd_multiply_boxes(const fd_job *job, fd_cursor *cursor, const fd_view *memory, float *room,
                      size_t floats, fd_arrays arrays, const fd_executor *executor);
size_t fd_boxes_room(const fd_view *memory, const fd_executor *executor);

/* ---- for the files of Gaussian dropout ---------------------------------------------------- */

/* The words of a tile take a small part of L1: more were slower. */
enum { FD_GAUSSIAN_TILE = FD_READ_BYTES / 4 };

/* The factors of elements [first, first + n), n <= FD_GAUSSIAN_TILE: in `made`, which is written in
 * whole groups of FD_NORMALS, or the stored ones. */
const float *fd_factors_of_tile(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n,
                                float *made);

/* y = x * factor, n <= FD_GAUSSIAN_TILE. */
void fd_multiply_tile(const fd_job *job, const float *factors, size_t n, fd_arrays arrays);

#endif
