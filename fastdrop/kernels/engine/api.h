/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The door of the engine: all that a face calls, in plain C. One extension has the engine in it and
 * hands out the address of this struct; the faces need the headers alone, and link nothing.
 */
#ifndef FD_API_H
#define FD_API_H

#include "attention.h"
#include "exact.h"
#include "job.h"
#include "lent.h"
#include "norm.h"
#include "sources.h"
#include "stream.h"

struct bitgen;         /* of NumPy: bitgen_t */
struct fd_numpy_limit; /* of numpy_words.h */

typedef struct {
    /* The table in use; and who works, of the package's own threads, or of lent ones. */
    const fd_kernels *(*kernels)(void);
    fd_executor (*pool)(void);
    fd_executor (*lent)(size_t workers);
    void (*lend)(fd_parallel_for parallel_for);

    const fd_source_facts *sources; /* FD_SOURCES of them */

    /* The forks between the process that loaded the engine and this one. */
    size_t (*forks)(void);

    /* Whether arrays of `size` bytes do not fit into the last-level cache together, and y is none
     * of the others. */
    int (*are_past_caches)(const fd_arrays *arrays, size_t size);

    /* Jobs: see job.h. */
    fd_job_function apply, multiply, draw, bernoulli;
    int (*apply_boxes)(const fd_job *job, const fd_orders *orders, fd_arrays arrays,
                       const fd_executor *executor);
    int (*multiply_boxes)(const fd_job *job, fd_cursor *cursor, const fd_orders *orders,
                          fd_arrays arrays, const fd_executor *executor);
    void (*apply_part)(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n,
                       fd_arrays arrays);

    int (*are_probabilities)(const void *numbers, fd_dtype dtype, size_t n);

    int (*attend)(const fd_attention *attention, int backward, const fd_executor *executor);

    /* See norm.h. */
    size_t (*norm_room)(const fd_norm *norm, int backward, const fd_executor *executor);
    int (*norm_rows)(const fd_norm *norm, int backward, fd_cursor *cursor, char *room,
                     const fd_executor *executor);

    void (*gather_bits)(const fd_view *view, const uint8_t *from, uint8_t *to);
    void (*gather_items)(const fd_view *view, size_t item, const char *from, char *to);

    /* See exact.h. */
    size_t (*exact_list)(const uint8_t *bits, size_t rows, size_t n, size_t k, fd_exact_row *list);
    size_t (*exact_words)(const fd_exact_row *list, size_t count, size_t n, size_t k);
    size_t (*exact_correct)(uint8_t *bits, size_t n, size_t k, fd_exact_row *list, size_t count,
                            const uint8_t *words);

    /* As NumPy's bit generators see a source, and as masks see a bit generator: see stream.h and
     * numpy_words.h. They ask as the pool does. */
    uint64_t (*next)(fd_stream *stream, size_t n);
    int (*numpy_bytes)(struct bitgen *bitgen, size_t n, const struct fd_numpy_limit *limit,
                       uint8_t *kept);
    int (*numpy_doubles)(struct bitgen *bitgen, size_t n, const struct fd_numpy_limit *limit,
                         uint8_t *kept);
    int (*numpy_floats)(struct bitgen *bitgen, size_t n, const struct fd_numpy_limit *limit,
                        uint8_t *kept);
    int (*numpy_normals)(struct bitgen *bitgen, size_t n, float deviation, float *factors);
} fd_api;

extern const fd_api fd_engine;

#endif
