/* SPDX-License-Identifier: BSD-3-Clause */
#include "grid.h"

#include <stdlib.h>

/* Streams that a box goes on with; and what a box has on the stack of each array. */
enum { CURSORS = 64, SMALL_BOX = 2048 };

/* The boxes of a call, shared among its workers as even as can be. */
typedef struct {
    const fd_box_work *work;
    const fd_grid *grid;
    size_t item;
    fd_arrays arrays;
    size_t parts;
    char *rooms;
    size_t room, numbers, items; /* bytes: of a part's room, and of what a box has there */
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

/* What a part needs: a cursor for each run of the stream, which goes on in the next box, numbers in
 * their own order and in y's, and what is read in y's order. */
typedef struct {
    fd_cursor *cursor;
    char *made, *numbers, *x, *other;
} room;

enum { CURSOR_BYTES = (CURSORS * sizeof(fd_cursor) + 63) / 64 * 64 };

static size_t
whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static void
measure_rooms(division *whole)
{
    const fd_grid *grid = whole->grid;
    const size_t arrays = (size_t)grid->turned[FD_OF_X] + (size_t)grid->turned[FD_OF_OTHER];
    const size_t number = whole->work->number;
    whole->numbers = number ? whole_lines(grid->size * number + FD_BOX_SPARE) : 0;
    whole->items = whole_lines(grid->size * whole->item);
    whole->room = CURSOR_BYTES + 2 * whole->numbers + arrays * whole->items;
}

static room
room_of(const division *whole, size_t part)
{
    room own;
    char *start = whole->rooms + part * whole->room;
    own.cursor = (fd_cursor *)start;
    own.made = start + CURSOR_BYTES;
    own.numbers = own.made + whole->numbers;
    own.x = own.numbers + whole->numbers;
    own.other = own.x + (whole->grid->turned[FD_OF_X] ? whole->items : 0);
    memset(own.cursor, 0, CURSOR_BYTES);
    return own;
}

/* An array's part of a box, in y's order. */
static const char *
turn(const division *whole, const fd_box *box, int array, const char *from, char *to)
{
    const fd_grid *grid = whole->grid;
    fd_view view;
    view.offset = 0;
    view.ndim = grid->ndim;
    memcpy(view.shape, box->length, sizeof *view.shape * (size_t)grid->ndim);
    memcpy(view.stride, grid->stride[array], sizeof *view.stride * (size_t)grid->ndim);
    fd_gather_items(&view, whole->item, from + box->first[array] * (int64_t)whole->item, to);
    return to;
}

/* A walk over the runs of y in a box. What is not turned goes along. */
typedef struct {
    int last; /* the axis that runs start with */
    size_t run;
    int64_t index[FD_MAX_DIMS], at[FD_ARRAYS];
} run_walk;

/* Whether a run of so many elements goes on along an axis in all that is read or written with it. */
static int
goes_on(const fd_grid *grid, int axis, int64_t run)
{
    for (int array = 0; array < FD_ARRAYS; array++) {
        if (array != FD_OF_INDEX && !grid->turned[array] && grid->stride[array][axis] != run) {
            return 0;
        }
    }
    return 1;
}

static void
first_run(run_walk *walk, const fd_grid *grid, const fd_box *box)
{
    int last = grid->ndim - 1;
    int64_t run = box->length[last];
    for (; last > 0 && goes_on(grid, last - 1, run); last--) {
        run *= box->length[last - 1];
    }
    walk->last = last;
    walk->run = (size_t)run;
    memcpy(walk->at, box->first, sizeof walk->at);
    for (int axis = 0; axis < last; axis++) {
        walk->index[axis] = 0;
    }
}

static int
next_run(run_walk *walk, const fd_grid *grid, const fd_box *box)
{
    for (int axis = walk->last - 1; axis >= 0; axis--) {
        const int more = ++walk->index[axis] < box->length[axis];
        const int64_t steps = more ? 1 : 1 - box->length[axis];
        for (int array = 0; array < FD_ARRAYS; array++) {
            walk->at[array] += steps * grid->stride[array][axis];
        }
        if (more) {
            return 1;
        }
        walk->index[axis] = 0;
    }
    return 0;
}

/* Runs that are asked for before they are finished: no processor guesses where the next one starts.
 * Bytes of a run that the processor goes on with by itself: it is not asked for. */
enum { AHEAD = 4, LONG_RUN_BYTES = 4096 };

typedef struct {
    run_walk walk;
    int more;
} prefetch;

/* Asks for the next run, of y and of what is read where it lies. */
static void
prefetch_run(prefetch *soon, const division *whole, const fd_box *box)
{
    const fd_grid *grid = whole->grid;
    const int64_t item = (int64_t)whole->item;
    const char *y = whole->arrays.y + soon->walk.at[FD_OF_Y] * item;
    const char *x = whole->arrays.x + soon->walk.at[FD_OF_X] * item;
    const char *other = whole->arrays.other;
    if (!soon->more) {
        return;
    }
    if (other != NULL) {
        other += soon->walk.at[FD_OF_OTHER] * item;
    }
    for (size_t line = 0; line < soon->walk.run * whole->item; line += 64) {
        fd_prefetch_line(y + line);
        if (!grid->turned[FD_OF_X] && x != y) {
            fd_prefetch_line(x + line);
        }
        if (other != NULL && !grid->turned[FD_OF_OTHER]) {
            fd_prefetch_line(other + line);
        }
    }
    soon->more = next_run(&soon->walk, grid, box);
}

static void
start_prefetch(prefetch *soon, const division *whole, const fd_box *box)
{
    first_run(&soon->walk, whole->grid, box);
    soon->more = soon->walk.run * whole->item < LONG_RUN_BYTES;
    for (int i = 0; i < AHEAD; i++) {
        prefetch_run(soon, whole, box);
    }
}

/* The numbers of a box, in y's order; returns the cursor at their end. */
static fd_cursor *
make_numbers(const division *whole, const fd_box *box, const room *room, const char **numbers)
{
    const fd_box_work *work = whole->work;
    const fd_grid *grid = whole->grid;
    const size_t size = work->number;
    fd_view stream = {.offset = box->first[FD_OF_INDEX], .ndim = grid->ndim};
    fd_view turned;
    fd_view_walk walk;
    fd_cursor *cursor = room->cursor;
    int64_t stride = 1;
    turned.offset = 0;
    turned.ndim = grid->ndim;
    for (int i = grid->ndim - 1; i >= 0; i--) {
        const int axis = grid->by_index[i];
        stream.shape[i] = turned.shape[axis] = box->length[axis];
        stream.stride[i] = grid->stride[FD_OF_INDEX][axis];
        turned.stride[axis] = stride;
        stride *= box->length[axis];
    }
    size_t run = 0;
    for (int more = fd_runs_first(&walk, &stream); more; more = fd_runs_next(&walk), run++) {
        const size_t n = (size_t)walk.view.shape[walk.last];
        fd_cursor *before = cursor;
        cursor = &room->cursor[run % CURSORS];
        if (run && work->has_stream) {
            fd_cursor_follow(cursor, before, &work->job->mask->seeded, (uint64_t)walk.at * size);
        }
        for (size_t done = 0; done < n; done += work->most) {
            work->make(work->job, cursor, (uint64_t)walk.at + done, fd_min(work->most, n - done),
                       room->made + (walk.to_at + done) * size);
        }
    }
    *numbers = room->made;
    if (grid->turned[FD_OF_INDEX]) {
        fd_gather_items(&turned, size, room->made, room->numbers);
        *numbers = room->numbers;
    }
    return cursor;
}

static void
finish_box(const division *whole, const fd_box *box, fd_arrays turned, const char *numbers)
{
    const fd_box_work *work = whole->work;
    const size_t item = whole->item;
    const fd_arrays *arrays = &whole->arrays;
    size_t before = 0; /* elements of the box */
    run_walk walk;
    prefetch soon;
    first_run(&walk, whole->grid, box);
    start_prefetch(&soon, whole, box);
    do {
        fd_arrays run = turned;
        prefetch_run(&soon, whole, box);
        run.x = turned.x ? turned.x + before * item : arrays->x + walk.at[FD_OF_X] * (int64_t)item;
        run.y = arrays->y + walk.at[FD_OF_Y] * (int64_t)item;
        if (turned.other) {
            run.other = turned.other + before * item;
        } else if (arrays->other) {
            run.other = arrays->other + walk.at[FD_OF_OTHER] * (int64_t)item;
        }
        for (size_t done = 0; done < walk.run; done += work->most) {
            work->finish(work->job, (uint64_t)walk.at[FD_OF_PLACE] + done,
                         fd_min(work->most, walk.run - done), fd_arrays_at(run, done * item),
                         numbers ? numbers + (before + done) * work->number : NULL);
        }
        before += walk.run;
    } while (next_run(&walk, whole->grid, box));
}

static void
run_part(void *context, size_t index, size_t worker)
{
    const division *whole = (const division *)context;
    const fd_grid *grid = whole->grid;
    const size_t boxes = grid->boxes, end = boxes * (index + 1) / whole->parts;
    const fd_watch watch = {whole->interrupt, worker == 0};
    const room own = room_of(whole, index);
    fd_cursor *last = own.cursor;
    if (index == 0) {
        own.cursor[0] = whole->start;
    }
    for (size_t at = boxes * index / whole->parts; at < end && !fd_stops(watch); at++) {
        const fd_box box = fd_box_at(grid, at);
        fd_arrays turned = {NULL, NULL, NULL};
        const char *numbers = NULL;
        if (whole->work->number) {
            last = make_numbers(whole, &box, &own, &numbers);
        }
        if (grid->turned[FD_OF_X]) {
            turned.x = turn(whole, &box, FD_OF_X, whole->arrays.x, own.x);
        }
        if (grid->turned[FD_OF_OTHER]) {
            turned.other = turn(whole, &box, FD_OF_OTHER, whole->arrays.other, own.other);
        }
        finish_box(whole, &box, turned, numbers);
    }
    if (index + 1 == whole->parts) {
        *whole->end = *last;
    }
}

/* Where no memory is left: one part of small boxes, on the stack. */
FD_APART void
run_on_stack(division *whole, const fd_orders *orders)
{
    FD_ALIGN64 char memory[CURSOR_BYTES + 2 * (FD_BOX_NUMBERS * SMALL_BOX + FD_BOX_SPARE + 64) +
                           2 * (SMALL_BOX + 64)];
    const fd_grid grid = fd_grid_of(whole->work, whole->item, orders, whole->arrays, SMALL_BOX);
    whole->grid = &grid;
    whole->parts = 1;
    whole->rooms = memory;
    measure_rooms(whole);
    run_part(whole, 0, 0);
}

int
fd_run_boxes(const fd_box_work *work, fd_cursor *cursor, const fd_orders *orders, fd_arrays arrays,
             const fd_executor *executor)
{
    const size_t item = fd_element_size(work->job);
    const fd_grid grid = fd_grid_of(work, item, orders, arrays, FD_BOX_BYTES);
    const size_t n = grid.boxes * grid.size;
    fd_interrupt interrupt_room, *interrupt = fd_interrupt_of(&interrupt_room, n, executor->ask);
    /* Neighbours in `changed` share bytes. */
    const size_t parts = work->job->changed ? 1 : fd_workers(executor, n);
    division whole = {.work = work,
                      .grid = &grid,
                      .item = item,
                      .arrays = arrays,
                      .parts = parts,
                      .start = *cursor,
                      .end = cursor,
                      .interrupt = interrupt};
    measure_rooms(&whole);
    void *memory = malloc(parts * whole.room + 63);
    if (memory == NULL) {
        run_on_stack(&whole, orders);
    } else {
        whole.rooms = (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
        fd_run_tasks(executor, parts, parts, run_part, &whole, interrupt);
        free(memory);
    }
    return -fd_stopped(interrupt);
}
