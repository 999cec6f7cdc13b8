/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "attention.h"

/* Elements that take as long as a score, with the products that it is in. */
enum { ELEMENTS_A_SCORE = 8 };

typedef struct {
    fd_attention attention;
    int backward;
    size_t scratch_bytes; /* of a worker */
    char *scratch;
} division;

static void
run_part(void *context, size_t index, size_t worker)
{
    const division *whole = (const division *)context;
    void *scratch = whole->scratch + worker * whole->scratch_bytes;
    if (whole->backward) {
        fd_attention_backward(&whole->attention, index, scratch);
    } else {
        fd_attention_forward(&whole->attention, index, scratch);
    }
}

int
fd_attend(const fd_attention *attention, int backward, const fd_executor *executor)
{
    division whole = {.attention = *attention, .backward = backward};
    const size_t scores = attention->heads * attention->queries * attention->keys;
    size_t workers = fd_workers(executor, ELEMENTS_A_SCORE * scores);
    /* Split, backward has 7 matrix products instead of 5, for any number of workers. */
    whole.attention.split = backward && 2 * workers > 3 * (attention->heads / attention->group);
    const size_t parts = fd_attention_parts(&whole.attention, backward);
    workers = fd_min(workers, parts ? parts : 1);
    whole.scratch_bytes = fd_attention_scratch(&whole.attention, backward);
    whole.scratch = (char *)malloc(workers * whole.scratch_bytes);
    if (whole.scratch == NULL) {
        return -1;
    }
    fd_run_tasks(executor, parts, workers, run_part, &whole, NULL);
    free(whole.scratch);
    return 0;
}
