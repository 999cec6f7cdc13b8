/* SPDX-License-Identifier: BSD-3-Clause */
#include "boxes.h"

/* What a box takes of the stack, of each array; and streams that a box goes on with. */
enum { BOX_BYTES = 16384, CURSORS = 64 };

/* Elements of a run of an array that may be read where they lie, where y's runs are other ones. */
enum { LONG_RUN = 64 };

/* Elements of a run that are read, written or multiplied at once, at least. */
enum { SHORT_RUN = 16 };

/* The arrays, by their strides: y, those that are read, the indices in C order, and the places in
 * y's order. */
enum { OF_Y, OF_X, OF_OTHER, OF_INDEX, OF_PLACE, ARRAYS };

/* Arrays in boxes. Axes are in y's order, as few as there can be. */
typedef struct {
    int ndim;
    int64_t shape[FD_MAX_DIMS], stride[ARRAYS][FD_MAX_DIMS];
    int by_index[FD_MAX_DIMS];                       /* the axes, largest step of the index first */
    int64_t length[FD_MAX_DIMS], count[FD_MAX_DIMS]; /* of a box; of boxes along the axis */
    int turned[ARRAYS]; /* whether the array, or the numbers, are brought into y's order */
    size_t boxes, size; /* how many; elements of one, at most */
} grid;

static int
is_one_axis(const grid *grid, int outer, int64_t length, const int64_t inner[ARRAYS])
{
    for (int array = 0; array < ARRAYS; array++) {
        if (grid->stride[array][outer] != inner[array] * length) {
            return 0;
        }
    }
    return 1;
}

static void
add_axis(grid *grid, int64_t length, const int64_t stride[ARRAYS])
{
    int axis = grid->ndim;
    int64_t outer = 1;
    if (axis > 0 && is_one_axis(grid, axis - 1, length, stride)) {
        axis--;
        outer = grid->shape[axis];
    } else {
        grid->ndim++;
    }
    grid->shape[axis] = outer * length;
    grid->length[axis] = 1;
    for (int array = 0; array < ARRAYS; array++) {
        grid->stride[array][axis] = stride[array];
    }
}

static uint64_t
distance(int64_t stride)
{
    return stride == 0 ? UINT64_MAX : stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride;
}

/* The axes by their strides in an array, the largest first, and before them those that repeat it. */
static void
sort_axes(const grid *grid, int array, int axes[FD_MAX_DIMS])
{
    const int64_t *stride = grid->stride[array];
    for (int axis = 0; axis < grid->ndim; axis++) {
        int place = axis;
        for (; place > 0 && distance(stride[axes[place - 1]]) < distance(stride[axis]); place--) {
            axes[place] = axes[place - 1];
        }
        axes[place] = axis;
    }
}

/* Makes runs of boxes along these axes, the last one first, so long, but no box larger than `most`. */
static void
lengthen(grid *grid, const int *axes, int64_t run, int64_t most)
{
    int64_t reached = 1;
    for (int i = grid->ndim - 1; i >= 0 && reached < run; i--) {
        int64_t *length = &grid->length[axes[i]];
        const int64_t whole = grid->shape[axes[i]], rest = (int64_t)grid->size / *length;
        int64_t wanted = (run + reached - 1) / reached;
        wanted = wanted < most / rest ? wanted : most / rest;
        wanted = wanted < whole ? wanted : whole;
        *length = *length > wanted ? *length : wanted;
        grid->size = (size_t)(rest * *length);
        reached *= *length;
        if (*length < whole) {
            break;
        }
    }
}

/* Whether an array cannot be read in runs of y's memory. */
static int
is_turned(const grid *grid, int array)
{
    const int last = grid->ndim - 1;
    const size_t size = sizeof(int64_t) * (size_t)grid->ndim;
    return memcmp(grid->stride[array], grid->stride[OF_Y], size) != 0 &&
           (grid->stride[array][last] != 1 || grid->shape[last] < LONG_RUN);
}

static int
follows_index(const grid *grid)
{
    for (int axis = 0; axis < grid->ndim; axis++) {
        if (grid->by_index[axis] != axis) {
            return 0;
        }
    }
    return 1;
}

/* Whether the arrays that are turned have several orders, none of them y's. */
static int
are_several(const grid *grid)
{
    int axes[FD_MAX_DIMS], known[FD_MAX_DIMS], found = 0;
    const size_t size = sizeof *axes * (size_t)grid->ndim;
    for (int array = OF_X; array <= OF_INDEX; array++) {
        if (grid->turned[array]) {
            sort_axes(grid, array, axes);
            if (found && memcmp(axes, known, size) != 0) {
                return 1;
            }
            memcpy(known, axes, size);
            found = 1;
        }
    }
    return 0;
}

/* The lengths of boxes: long runs of y and of each other array, and then what there is room for. A
 * stream is entered for each row of the indices: short rows are taken whole, and several at once. */
static void
set_lengths(grid *grid, const fd_box_work *work, size_t item)
{
    int axes[FD_MAX_DIMS];
    const size_t widest = grid->turned[OF_X] || grid->turned[OF_OTHER] ? item : 1;
    const int64_t most = BOX_BYTES / (int64_t)(widest > work->number ? widest : work->number);
    int64_t run = work->run;
    if (are_several(grid) ||
        (work->has_stream && grid->shape[grid->by_index[grid->ndim - 1]] <= most / SHORT_RUN)) {
        run = SHORT_RUN;
    }
    sort_axes(grid, OF_PLACE, axes);
    lengthen(grid, axes, run, most);
    for (int array = OF_INDEX; array >= OF_X; array--) {
        if (grid->turned[array]) {
            sort_axes(grid, array, axes);
            lengthen(grid, axes, are_several(grid) ? SHORT_RUN : most / run, most);
        }
    }
    sort_axes(grid, work->has_stream ? OF_INDEX : OF_PLACE, axes);
    lengthen(grid, axes, most, most);
}

static grid
grid_of(const fd_box_work *work, size_t item, const fd_orders *orders, fd_arrays arrays)
{
    grid grid = {.boxes = 1, .size = 1};
    int64_t place[FD_MAX_DIMS + 1];
    place[orders->ndim] = 1;
    for (int axis = orders->ndim; axis-- > 0;) {
        place[axis] = place[axis + 1] * orders->shape[axis];
    }
    for (int axis = 0; axis < orders->ndim; axis++) {
        const int64_t y = orders->y[axis];
        const int64_t stride[ARRAYS] = {y, orders->x[axis], arrays.other ? orders->other[axis] : y,
                                        work->number ? orders->index[axis] : y, place[axis + 1]};
        if (orders->shape[axis] != 1) {
            add_axis(&grid, orders->shape[axis], stride);
        }
    }
    if (grid.ndim == 0) {
        const int64_t stride[ARRAYS] = {1, 1, 1, 1, 1};
        add_axis(&grid, 1, stride);
    }
    sort_axes(&grid, OF_INDEX, grid.by_index);
    grid.turned[OF_X] = is_turned(&grid, OF_X);
    grid.turned[OF_OTHER] = is_turned(&grid, OF_OTHER);
    grid.turned[OF_INDEX] = work->number && !follows_index(&grid);
    set_lengths(&grid, work, item);
    for (int axis = 0; axis < grid.ndim; axis++) {
        grid.count[axis] = (grid.shape[axis] + grid.length[axis] - 1) / grid.length[axis];
        grid.boxes *= (size_t)grid.count[axis];
    }
    return grid;
}

/* One box: its lengths, and where its first element is in each array. */
typedef struct {
    int64_t length[FD_MAX_DIMS], first[ARRAYS];
} box;

/* Neighbours in the stream, or else in y, follow each other. */
static box
box_at(const grid *grid, size_t index)
{
    box box;
    memset(box.first, 0, sizeof box.first);
    for (int i = grid->ndim - 1; i >= 0; i--) {
        const int axis = grid->by_index[i];
        const int64_t start = (int64_t)(index % (size_t)grid->count[axis]) * grid->length[axis];
        const int64_t left = grid->shape[axis] - start;
        index /= (size_t)grid->count[axis];
        box.length[axis] = left < grid->length[axis] ? left : grid->length[axis];
        for (int array = 0; array < ARRAYS; array++) {
            box.first[array] += start * grid->stride[array][axis];
        }
    }
    return box;
}

/* The boxes of a call, shared among its workers as even as can be. */
typedef struct {
    const fd_box_work *work;
    const grid *grid;
    size_t item;
    fd_arrays arrays;
    size_t parts;
    fd_cursor start, *end;
    fd_interrupt *interrupt;
} division;

/* What a worker needs: a cursor for each run of the stream, which goes on in the next box, numbers in
 * their own order and in y's, and what is read in y's order. */
typedef struct {
    fd_cursor cursor[CURSORS];
    FD_ALIGN64 char made[BOX_BYTES + FD_BOX_SPARE];
    FD_ALIGN64 char numbers[BOX_BYTES + FD_BOX_SPARE];
    FD_ALIGN64 char x[BOX_BYTES], other[BOX_BYTES];
} room;

/* An array's part of a box, in y's order. */
static const char *
turn(const division *whole, const box *box, int array, const char *from, char *to)
{
    const grid *grid = whole->grid;
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
    int64_t index[FD_MAX_DIMS], at[ARRAYS];
} run_walk;

/* Whether a run of so many elements goes on along an axis in all that is read or written with it. */
static int
goes_on(const grid *grid, int axis, int64_t run)
{
    for (int array = 0; array < ARRAYS; array++) {
        if (array != OF_INDEX && !grid->turned[array] && grid->stride[array][axis] != run) {
            return 0;
        }
    }
    return 1;
}

static void
first_run(run_walk *walk, const grid *grid, const box *box)
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
next_run(run_walk *walk, const grid *grid, const box *box)
{
    for (int axis = walk->last - 1; axis >= 0; axis--) {
        const int more = ++walk->index[axis] < box->length[axis];
        const int64_t steps = more ? 1 : 1 - box->length[axis];
        for (int array = 0; array < ARRAYS; array++) {
            walk->at[array] += steps * grid->stride[array][axis];
        }
        if (more) {
            return 1;
        }
        walk->index[axis] = 0;
    }
    return 0;
}

/* Runs that are asked for before they are finished: no processor guesses where the next one starts. */
enum { AHEAD = 8 };

typedef struct {
    run_walk walk;
    int more;
} prefetch;

static void
start_prefetch(prefetch *soon, const grid *grid, const box *box)
{
    first_run(&soon->walk, grid, box);
    soon->more = 1;
}

/* Asks for the next run, of y and of what is read where it lies. */
static void
prefetch_run(prefetch *soon, const division *whole, const box *box)
{
    const grid *grid = whole->grid;
    const int64_t item = (int64_t)whole->item;
    const char *y = whole->arrays.y + soon->walk.at[OF_Y] * item;
    const char *x = whole->arrays.x + soon->walk.at[OF_X] * item;
    const char *other = whole->arrays.other;
    if (!soon->more) {
        return;
    }
    if (other != NULL) {
        other += soon->walk.at[OF_OTHER] * item;
    }
    for (size_t line = 0; line < soon->walk.run * whole->item; line += 64) {
        fd_prefetch_line(y + line);
        if (!grid->turned[OF_X] && x != y) {
            fd_prefetch_line(x + line);
        }
        if (other != NULL && !grid->turned[OF_OTHER]) {
            fd_prefetch_line(other + line);
        }
    }
    soon->more = next_run(&soon->walk, grid, box);
}

/* The numbers of a box, in y's order; returns the cursor at their end. */
static fd_cursor *
make_numbers(const division *whole, const box *box, room *room, prefetch *soon,
             const char **numbers)
{
    const fd_box_work *work = whole->work;
    const grid *grid = whole->grid;
    const size_t size = work->number;
    fd_view stream = {.offset = box->first[OF_INDEX], .ndim = grid->ndim};
    fd_view turned;
    fd_view_walk walk;
    fd_cursor *cursor = room->cursor;
    int64_t stride = 1;
    turned.offset = 0;
    turned.ndim = grid->ndim;
    for (int i = grid->ndim - 1; i >= 0; i--) {
        const int axis = grid->by_index[i];
        stream.shape[i] = turned.shape[axis] = box->length[axis];
        stream.stride[i] = grid->stride[OF_INDEX][axis];
        turned.stride[axis] = stride;
        stride *= box->length[axis];
    }
    size_t run = 0;
    for (int more = fd_runs_first(&walk, &stream); more; more = fd_runs_next(&walk), run++) {
        const size_t n = (size_t)walk.view.shape[walk.last];
        cursor = &room->cursor[run % CURSORS];
        prefetch_run(soon, whole, box);
        for (size_t done = 0; done < n; done += work->most) {
            work->make(work->job, cursor, (uint64_t)walk.at + done, fd_min(work->most, n - done),
                       room->made + (walk.to_at + done) * size);
        }
    }
    *numbers = room->made;
    if (grid->turned[OF_INDEX]) {
        fd_gather_items(&turned, size, room->made, room->numbers);
        *numbers = room->numbers;
    }
    return cursor;
}

static void
finish_box(const division *whole, const box *box, fd_arrays turned, const char *numbers,
           prefetch *soon)
{
    const fd_box_work *work = whole->work;
    const size_t item = whole->item;
    const fd_arrays *arrays = &whole->arrays;
    size_t before = 0; /* elements of the box */
    run_walk walk;
    first_run(&walk, whole->grid, box);
    do {
        fd_arrays run = turned;
        prefetch_run(soon, whole, box);
        run.x = turned.x ? turned.x + before * item : arrays->x + walk.at[OF_X] * (int64_t)item;
        run.y = arrays->y + walk.at[OF_Y] * (int64_t)item;
        if (turned.other) {
            run.other = turned.other + before * item;
        } else if (arrays->other) {
            run.other = arrays->other + walk.at[OF_OTHER] * (int64_t)item;
        }
        for (size_t done = 0; done < walk.run; done += work->most) {
            work->finish(work->job, (uint64_t)walk.at[OF_PLACE] + done,
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
    const grid *grid = whole->grid;
    const size_t boxes = grid->boxes, end = boxes * (index + 1) / whole->parts;
    const fd_watch watch = {whole->interrupt, worker == 0};
    room room;
    fd_cursor *last = room.cursor;
    memset(room.cursor, 0, sizeof room.cursor);
    if (index == 0) {
        room.cursor[0] = whole->start;
    }
    for (size_t at = boxes * index / whole->parts; at < end && !fd_stops(watch); at++) {
        const box box = box_at(grid, at);
        fd_arrays turned = {NULL, NULL, NULL};
        const char *numbers = NULL;
        prefetch soon;
        start_prefetch(&soon, grid, &box);
        if (whole->work->number) {
            last = make_numbers(whole, &box, &room, &soon, &numbers);
        }
        if (grid->turned[OF_X]) {
            turned.x = turn(whole, &box, OF_X, whole->arrays.x, room.x);
        }
        if (grid->turned[OF_OTHER]) {
            turned.other = turn(whole, &box, OF_OTHER, whole->arrays.other, room.other);
        }
        for (int i = 0; !whole->work->number && i < AHEAD; i++) {
            prefetch_run(&soon, whole, &box);
        }
        finish_box(whole, &box, turned, numbers, &soon);
    }
    if (index + 1 == whole->parts) {
        *whole->end = *last;
    }
}

int
fd_run_boxes(const fd_box_work *work, fd_cursor *cursor, const fd_orders *orders, fd_arrays arrays,
             const fd_executor *executor)
{
    const size_t item = fd_element_size(work->job);
    const grid grid = grid_of(work, item, orders, arrays);
    const size_t n = grid.boxes * grid.size;
    fd_interrupt interrupt_room, *interrupt = fd_interrupt_of(&interrupt_room, n, executor->ask);
    /* Neighbours in `changed` share bytes. */
    const size_t parts = work->job->changed ? 1 : fd_workers(executor, n);
    division whole = {work, &grid, item, arrays, parts, *cursor, cursor, interrupt};
    fd_run_tasks(executor, parts, parts, run_part, &whole, interrupt);
    return -fd_stopped(interrupt);
}
