/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arrays that do not have one order in memory, and numbers that follow the indices: what does not
 * lie as y does is brought into y's order box by box, in the cache.
 */
#ifndef FD_BOXES_H
#define FD_BOXES_H

#include "job.h"

/* What a job does with boxes. */
typedef struct {
    const fd_job *job;
    int64_t run;    /* elements in a row of y that a box has, at least, where there are as many */
    size_t most;    /* elements that `finish` and `make` take at once, at most */
    size_t number;  /* bytes of the number that each element has; 0: there are none */
    int has_stream; /* numbers are the mask's stream, in which one step is sooner made than found */

    /* Makes the numbers of elements [first, first + n) in C order of the indices. May write up to
     * FD_BOX_SPARE bytes too many. */
    void (*make)(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n, void *made);

    /* The last step for elements [first, first + n) in y's order, which `arrays` start with. */
    void (*finish)(const fd_job *job, uint64_t first, size_t n, fd_arrays arrays,
                   const void *numbers);
} fd_box_work;

enum { FD_BOX_SPARE = 128 };

/* All elements of the arrays, in parts that the executor runs. The cursor is as of a job. */
int fd_run_boxes(const fd_box_work *work, fd_cursor *cursor, const fd_orders *orders,
                 fd_arrays arrays, const fd_executor *executor);

#endif
