/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"

typedef struct {
    fd_part part;
    const fd_job *job;
    fd_arrays arrays;
    size_t n, parts;
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

static size_t
part_start(const division *whole, size_t index)
{
    const size_t tiles = (whole->n + FD_TILE - 1) / FD_TILE;
    const size_t fewest = tiles / whole->parts, rest = tiles % whole->parts;
    return fd_min(whole->n, (fewest * index + fd_min(rest, index)) * FD_TILE);
}

static void
run_part(void *context, size_t index, size_t worker)
{
    const division *whole = (const division *)context;
    const size_t first = part_start(whole, index), end = part_start(whole, index + 1);
    fd_cursor cursor = {.has_last = 0};
    const fd_watch watch = {whole->interrupt, worker == 0};
    if (index == 0) {
        cursor = whole->start;
    }
    whole->part(whole->job, &cursor, first, end - first, whole->arrays, watch);
    if (index + 1 == whole->parts) {
        *whole->end = cursor;
    }
}

int
fd_run_parts(fd_part part, const fd_job *job, fd_cursor *cursor, size_t n, fd_arrays arrays,
             const fd_executor *executor)
{
    fd_interrupt room, *interrupt = fd_interrupt_of(&room, n, executor->ask);
    const size_t parts = fd_workers(executor, n);
    if (parts == 1) {
        const fd_watch watch = {interrupt, 1};
        part(job, cursor, 0, n, arrays, watch);
    } else {
        division whole = {part, job, arrays, n, parts, *cursor, cursor, interrupt};
        fd_run_tasks(executor, parts, parts, run_part, &whole, interrupt);
    }
    return -fd_stopped(interrupt);
}
