/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What becomes of the bytes that a source makes. A source hands each 64 of them, as a vector, to a
 * sink that is inlined into its loop: `fill` stores them, `decide` compares them with a threshold,
 * and then they are never in memory.
 */
#ifndef FD_SINK_H
#define FD_SINK_H

#include "../kernels.h"

/* Takes the bytes of the i-th step. */
typedef void (*fd_sink)(void *to, size_t i, v_u64 bytes);

/* The loop of a source: makes steps [step, step + steps) of its stream for a sink. Leaves in `lanes`
 * the states before step + whole. If the last step is used in part, whole is steps - 1, so that the
 * next call can make that step again. */
typedef void (*fd_loop)(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                        size_t whole, fd_sink sink, void *to);

#endif
