/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The custom calls of compiled JAX programs: XLA calls these functions with the addresses of arrays in
 * C order. They work on the thread that calls and on the package's own, and never ask for one of XLA's.
 *
 *     xla.h       what is used of XLA
 *     keys.c      answers to XLA, and from words of a key to a place in a stream
 *     masks.c     dropout, and masks as booleans
 *     bits.c      random words
 *
 * Their arguments are, in this order:
 *
 *     key         uint32, (..., words); the axes before the last are the batch: each has its own key
 *     p           uint32, (..., 2): the words of a double, low one first (not of fd_call_bits)
 *     x           floats, (..., the axes of a mask) (of fd_call_drop alone)
 *     place       uint32, (2, axes of the result): where its first element is in the whole array, and
 *                 the lengths of that; key and p are then those of the whole array. May be absent:
 *                 the result is the whole.
 *
 * and their attributes, integers of 64 bits:
 *
 *     source      the index of a source, whose identity the 4 words of the key are; -1: words of
 *                 another implementation of keys, which are folded to one of Philox4x32
 *     shared      of fd_call_drop: bit i is set where one decision is shared along axis i of the mask
 *     dropped     of fd_call_decide: true is what is dropped
 */
#ifndef FD_CALLS_H
#define FD_CALLS_H

#include "engine/api.h"
#include "xla.h"

/* The engine; given when the package is loaded. */
extern const fd_api *fd_calls_engine;

xla_error *fd_call_drop(xla_call *call);
xla_error *fd_call_decide(xla_call *call);
xla_error *fd_call_bits(xla_call *call);

/* ---- for the functions above ------------------------------------------------------------ */

/* Answers where XLA only asks which version this is; returns whether it does. */
int fd_call_is_question(xla_call *call);

xla_error *fd_call_error(const xla_call *call, int code, const char *message);

int64_t fd_call_attribute(const xla_call *call, const char *name);

/* The start of the stream of the key with that index. */
fd_seeded fd_call_stream(const xla_buffer *key, size_t index, int64_t source);

/* The package's own threads. */
fd_executor fd_call_threads(void);

/* The product of lengths [first, end). */
size_t fd_call_product(const int64_t *dims, int64_t first, int64_t end);

#endif
