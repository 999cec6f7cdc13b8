/* SPDX-License-Identifier: BSD-3-Clause */
#include "grid.h"

/* Elements of a run of an array that may be read where they lie, where y's runs are other ones. */
enum { LONG_RUN = 64 };

/* Elements of a run that are read, written or multiplied at once, at least. */
enum { SHORT_RUN = 16 };

static int
is_one_axis(const fd_grid *grid, int outer, int64_t length, const int64_t inner[FD_ARRAYS])
{
    for (int array = 0; array < FD_ARRAYS; array++) {
        if (grid->stride[array][outer] != inner[array] * length) {
            return 0;
        }
    }
    return 1;
}

static void
add_axis(fd_grid *grid, int64_t length, const int64_t stride[FD_ARRAYS])
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
    for (int array = 0; array < FD_ARRAYS; array++) {
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
sort_axes(const fd_grid *grid, int array, int axes[FD_MAX_DIMS])
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
lengthen(fd_grid *grid, const int *axes, int64_t run, int64_t most)
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
is_turned(const fd_grid *grid, int array)
{
    const int last = grid->ndim - 1;
    const size_t size = sizeof(int64_t) * (size_t)grid->ndim;
    return memcmp(grid->stride[array], grid->stride[FD_OF_Y], size) != 0 &&
           (grid->stride[array][last] != 1 || grid->shape[last] < LONG_RUN);
}

static int
follows_index(const fd_grid *grid)
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
are_several(const fd_grid *grid)
{
    int axes[FD_MAX_DIMS], known[FD_MAX_DIMS], found = 0;
    const size_t size = sizeof *axes * (size_t)grid->ndim;
    for (int array = FD_OF_X; array <= FD_OF_INDEX; array++) {
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

/* The lengths of boxes: long runs of y and of each other array, and then what there is room for. */
static void
set_lengths(fd_grid *grid, const fd_box_work *work, size_t item, size_t bytes)
{
    int axes[FD_MAX_DIMS];
    const int turns_arrays = grid->turned[FD_OF_X] || grid->turned[FD_OF_OTHER];
    const size_t most_items = bytes / (turns_arrays ? item : 1);
    const size_t most_numbers = FD_BOX_NUMBERS * bytes / (work->number ? work->number : 4);
    const int64_t most = (int64_t)fd_min(most_items, most_numbers);
    const int64_t run = are_several(grid) ? SHORT_RUN : work->run;
    sort_axes(grid, FD_OF_PLACE, axes);
    lengthen(grid, axes, run, most);
    for (int array = FD_OF_INDEX; array >= FD_OF_X; array--) {
        if (grid->turned[array]) {
            sort_axes(grid, array, axes);
            lengthen(grid, axes, are_several(grid) ? SHORT_RUN : most / run, most);
        }
    }
    sort_axes(grid, work->has_stream ? FD_OF_INDEX : FD_OF_PLACE, axes);
    lengthen(grid, axes, most, most);
}

fd_grid
fd_grid_of(const fd_box_work *work, size_t item, const fd_orders *orders, fd_arrays arrays,
           size_t bytes)
{
    fd_grid grid = {.boxes = 1, .size = 1};
    int64_t place[FD_MAX_DIMS + 1];
    place[orders->ndim] = 1;
    for (int axis = orders->ndim; axis-- > 0;) {
        place[axis] = place[axis + 1] * orders->shape[axis];
    }
    for (int axis = 0; axis < orders->ndim; axis++) {
        const int64_t y = orders->y[axis];
        const int64_t stride[FD_ARRAYS] = {y, orders->x[axis],
                                           arrays.other ? orders->other[axis] : y,
                                           work->number ? orders->index[axis] : y, place[axis + 1]};
        if (orders->shape[axis] != 1) {
            add_axis(&grid, orders->shape[axis], stride);
        }
    }
    if (grid.ndim == 0) {
        const int64_t stride[FD_ARRAYS] = {1, 1, 1, 1, 1};
        add_axis(&grid, 1, stride);
    }
    sort_axes(&grid, FD_OF_INDEX, grid.by_index);
    grid.turned[FD_OF_X] = is_turned(&grid, FD_OF_X);
    grid.turned[FD_OF_OTHER] = is_turned(&grid, FD_OF_OTHER);
    grid.turned[FD_OF_INDEX] = work->number && !follows_index(&grid);
    set_lengths(&grid, work, item, bytes);
    for (int axis = 0; axis < grid.ndim; axis++) {
        grid.count[axis] = (grid.shape[axis] + grid.length[axis] - 1) / grid.length[axis];
        grid.boxes *= (size_t)grid.count[axis];
    }
    return grid;
}

fd_box
fd_box_at(const fd_grid *grid, size_t index)
{
    fd_box box;
    memset(box.first, 0, sizeof box.first);
    for (int i = grid->ndim - 1; i >= 0; i--) {
        const int axis = grid->by_index[i];
        const int64_t start = (int64_t)(index % (size_t)grid->count[axis]) * grid->length[axis];
        const int64_t left = grid->shape[axis] - start;
        index /= (size_t)grid->count[axis];
        box.length[axis] = left < grid->length[axis] ? left : grid->length[axis];
        for (int array = 0; array < FD_ARRAYS; array++) {
            box.first[array] += start * grid->stride[array][axis];
        }
    }
    return box;
}
