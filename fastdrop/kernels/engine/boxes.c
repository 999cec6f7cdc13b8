/* SPDX-License-Identifier: BSD-3-Clause */
#include "gaussian.h"

/* A box has at least so many elements in a row, where there are as many: in the stream, so that lanes
 * are seldom seeded and stepped to where it begins, and in memory. */
enum { STREAM_RUN = 2048, MEMORY_RUN = 64 };

/* An array in boxes. Axes are in C order, as few as there can be. */
typedef struct {
    fd_view memory;
    int64_t c_stride[FD_MAX_DIMS];
    int by_memory[FD_MAX_DIMS];                      /* the axes, largest stride first */
    int64_t length[FD_MAX_DIMS], count[FD_MAX_DIMS]; /* of a box; of boxes along the axis */
    size_t boxes, size;                              /* how many; elements of one, at most */
} grid;

/* Makes boxes at least `run` elements long along the axes that are named, the last one first. */
static void
lengthen(grid *grid, const int *axes, int64_t run)
{
    int64_t reached = 1;
    for (int i = grid->memory.ndim - 1; i >= 0 && reached < run; i--) {
        const int axis = axes[i];
        const int64_t wanted = (run + reached - 1) / reached, most = grid->memory.shape[axis];
        const int64_t length = wanted < most ? wanted : most;
        if (grid->length[axis] < length) {
            grid->length[axis] = length;
        }
        reached *= grid->length[axis];
        if (grid->length[axis] < most) {
            break;
        }
    }
}

static grid
grid_of(const fd_view *memory)
{
    grid grid = {.memory = fd_view_merged(memory), .boxes = 1, .size = 1};
    const int ndim = grid.memory.ndim;
    int in_order[FD_MAX_DIMS];
    int64_t stride = 1;
    for (int axis = ndim - 1; axis >= 0; axis--) {
        grid.c_stride[axis] = stride;
        stride *= grid.memory.shape[axis];
        grid.length[axis] = 1;
        in_order[axis] = axis;
    }
    for (int axis = 0; axis < ndim; axis++) { /* sorted into those before it */
        int place = axis;
        for (;
             place > 0 && grid.memory.stride[grid.by_memory[place - 1]] < grid.memory.stride[axis];
             place--) {
            grid.by_memory[place] = grid.by_memory[place - 1];
        }
        grid.by_memory[place] = axis;
    }
    lengthen(&grid, in_order, STREAM_RUN);
    lengthen(&grid, grid.by_memory, MEMORY_RUN);
    for (int axis = 0; axis < ndim; axis++) {
        grid.count[axis] = (grid.memory.shape[axis] + grid.length[axis] - 1) / grid.length[axis];
        grid.boxes *= (size_t)grid.count[axis];
        grid.size *= (size_t)grid.length[axis];
    }
    return grid;
}

/* One box: where its elements are in the stream, in memory, and, from the order of the stream to that
 * of memory, among themselves. */
typedef struct {
    fd_view stream, memory, turned;
} box;

static box
box_at(const grid *grid, size_t index)
{
    const int ndim = grid->memory.ndim;
    box box = {.stream = {.ndim = ndim}, .memory = {.ndim = ndim}, .turned = {.ndim = ndim}};
    int64_t length[FD_MAX_DIMS], stride[FD_MAX_DIMS], size = 1;
    for (int axis = ndim - 1; axis >= 0; axis--) {
        const int64_t start = (int64_t)(index % (size_t)grid->count[axis]) * grid->length[axis];
        const int64_t left = grid->memory.shape[axis] - start;
        index /= (size_t)grid->count[axis];
        length[axis] = left < grid->length[axis] ? left : grid->length[axis];
        stride[axis] = size;
        size *= length[axis];
        box.stream.shape[axis] = length[axis];
        box.stream.stride[axis] = grid->c_stride[axis];
        box.stream.offset += start * grid->c_stride[axis];
        box.memory.offset += start * grid->memory.stride[axis];
    }
    for (int i = 0; i < ndim; i++) {
        const int axis = grid->by_memory[i];
        box.memory.shape[i] = box.turned.shape[i] = length[axis];
        box.memory.stride[i] = grid->memory.stride[axis];
        box.turned.stride[i] = stride[axis];
    }
    return box;
}

/* Elements of a run that are taken at once. */
static size_t
run_of(const fd_view_walk *walk, size_t done)
{
    return fd_min(FD_GAUSSIAN_TILE, (size_t)walk->view.shape[walk->last] - done);
}

static void
make_factors(const fd_job *job, fd_cursor *cursor, const fd_view *stream, float *made)
{
    fd_view_walk walk;
    for (int more = fd_runs_first(&walk, stream); more; more = fd_runs_next(&walk)) {
        for (size_t done = 0, n; (n = run_of(&walk, done)) > 0; done += n) {
            float *to = made + walk.to_at + done;
            const float *factors = fd_factors_of_tile(job, cursor, (uint64_t)walk.at + done, n, to);
            if (factors != to) {
                memcpy(to, factors, n * sizeof *to);
            }
        }
    }
}

/* Runs of memory that are prefetched before they are multiplied: no processor guesses where the next
 * one starts. */
enum { AHEAD = 4 };

static void
prefetch_run(const fd_view_walk *walk, size_t size, fd_arrays arrays)
{
    const size_t bytes = run_of(walk, 0) * size;
    const fd_arrays run = fd_arrays_at(arrays, (size_t)walk->at * size);
    for (size_t line = 0; line < bytes; line += 64) {
        fd_prefetch_line(run.x + line);
        fd_prefetch_line(run.y + line);
    }
}

static void
multiply_box(const fd_job *job, const fd_view *memory, const float *factors, fd_arrays arrays)
{
    const size_t size = fd_element_size(job);
    fd_view_walk walk, ahead;
    int follows = fd_runs_first(&ahead, memory);
    for (int i = 0; i < AHEAD && follows; i++) {
        prefetch_run(&ahead, size, arrays);
        follows = fd_runs_next(&ahead);
    }
    for (int more = fd_runs_first(&walk, memory); more; more = fd_runs_next(&walk)) {
        if (follows) {
            prefetch_run(&ahead, size, arrays);
            follows = fd_runs_next(&ahead);
        }
        for (size_t done = 0, n; (n = run_of(&walk, done)) > 0; done += n) {
            fd_multiply_tile(job, factors + walk.to_at + done, n,
                             fd_arrays_at(arrays, ((size_t)walk.at + done) * size));
        }
    }
}

/* The boxes of a call, shared among its workers as even as can be. */
typedef struct {
    const fd_job *job;
    const grid *grid;
    fd_arrays arrays;
    float *room;
    size_t parts;
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

/* Floats for the factors of a box, once made and once turned. */
static size_t
room_of_box(const grid *grid)
{
    return 2 * (grid->size + FD_NORMALS);
}

static void
run_part(void *context, size_t index, size_t worker)
{
    const division *whole = (const division *)context;
    const size_t boxes = whole->grid->boxes, end = boxes * (index + 1) / whole->parts;
    const fd_watch watch = {whole->interrupt, worker == 0};
    float *made = whole->room + index * room_of_box(whole->grid);
    float *turned = made + room_of_box(whole->grid) / 2;
    fd_cursor cursor = {.has_last = 0};
    if (index == 0) {
        cursor = whole->start;
    }
    for (size_t at = boxes * index / whole->parts; at < end && !fd_stops(watch); at++) {
        const box box = box_at(whole->grid, at);
        make_factors(whole->job, &cursor, &box.stream, made);
        fd_gather_items(&box.turned, sizeof *made, (const char *)made, (char *)turned);
        multiply_box(whole->job, &box.memory, turned, whole->arrays);
    }
    if (index + 1 == whole->parts) {
        *whole->end = cursor;
    }
}

int
fd_multiply_boxes(const fd_job *job, fd_cursor *cursor, const fd_view *memory, float *room,
                  size_t floats, fd_arrays arrays, const fd_executor *executor)
{
    const grid grid = grid_of(memory);
    const size_t n = grid.boxes * grid.size;
    fd_interrupt interrupt_room, *interrupt = fd_interrupt_of(&interrupt_room, n, executor->ask);
    const size_t parts = fd_min(fd_workers(executor, n), floats / room_of_box(&grid));
    division whole = {job, &grid, arrays, room, parts, *cursor, cursor, interrupt};
    fd_run_tasks(executor, parts, parts, run_part, &whole, interrupt);
    return -fd_stopped(interrupt);
}

size_t
fd_boxes_room(const fd_view *memory, const fd_executor *executor)
{
    const grid grid = grid_of(memory);
    return fd_workers(executor, grid.boxes * grid.size) * room_of_box(&grid);
}
