/* SPDX-License-Identifier: BSD-3-Clause */
#include "masks.h"

#ifdef FD_HAS_DISPATCHER

static _Thread_local fd_asked asked;

void
fd_dispatch_ask(const fd_asked *what)
{
    asked = *what;
}

/* What was asked of a tensor. It is forgotten: PyTorch may run any program before it returns. */
static bool
take_asked(const tensor *x, fd_asked *out)
{
    const bool is_asked = asked.x == x->impl;
    *out = asked;
    asked.x = NULL;
    return is_asked;
}

static void
put_both(returned both, stable_value *stack)
{
    const int mask = place_of_mask(&both);
    stack[0] = value_of(handle_of_impl(both.words[1 - mask]));
    stack[1] = value_of(handle_of_impl(both.words[mask]));
}

/* Bools of the decisions: of x's shape, or of that of its features. */
static tensor *
new_mask(const description *x, size_t run)
{
    description features = *x;
    int64_t sizes[FD_MAX_DIMS], strides[FD_MAX_DIMS];
    if (run == 1) {
        return empty_like(x, fd_bool_dtype);
    }
    for (int64_t axis = 0; axis < x->dim; axis++) {
        sizes[axis] = axis < 2 ? x->sizes[axis] : 1;
        strides[axis] = axis == 0 ? x->sizes[1] : 1;
    }
    features.sizes = sizes;
    features.strides = strides;
    return empty_like(&features, fd_bool_dtype);
}

/* native_dropout(x, p, train?) -> (y, mask) */
void
native_dropout_cpu(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    OWNED x = handle_of(stack[0]);
    OWNED y = NULL;
    OWNED mask = NULL;
    OWNED_VALUE train = (stable_value *)address_of(stack[2]);
    const double p = number_of(stack[1]);
    const optional_bool given = {train != NULL && truth_of(*train), train != NULL};
    fd_asked what;
    description described;
    fd_seeded place;
    small_bits kept;
    size_t n;
    (void)inputs;
    (void)outputs;
    if ((!take_asked(x, &what) &&
         ((given.given && !given.value) || !fd_dispatch_takes(x, p, 0, 0, &what))) ||
        !describe_floats(x, &described)) {
        put_both(is_stock() ? torch.native_dropout_stock(x, p, given)
                            : torch.native_dropout_again(known.in_python[1], x, p, given),
                 stack);
        return;
    }
    n = (size_t)described.n;
    y = empty_like(&described, described.dtype_there);
    mask = new_mask(&described, what.run);
    place = draw_place(NULL, fd_drop_threshold(what.p));
    make_bits(&place, n / what.run, &kept);
    known.engine->kernels()->unpack(kept.bits, n / what.run, (uint8_t *)data_to_write(mask));
    apply_bits(&kept, n, what.run, described.dtype, &what.numbers, data_of(x), data_to_write(y));
    stack[0] = value_of(moved(&y));
    stack[1] = value_of(moved(&mask));
}

/* Bits of a mask of bools. */
static void
pack(const uint8_t *bools, size_t n, small_bits *out)
{
    FD_ALIGN64 uint8_t bytes[FD_TILE], ones[FD_TILE], equal[FD_TILE / 8];
    memset(ones, 1, fd_min(n + FD_STEP, FD_TILE)); /* all are read in whole groups of 64 */
    for (size_t first = 0; first < n; first += FD_TILE) {
        const size_t count = fd_min(n - first, FD_TILE);
        memcpy(bytes, bools + first, count);
        known.engine->kernels()->compare(bytes, ones, count, out->bits + first / 8, equal);
    }
}

/* How many elements of dy share a bool of the mask; 0: that is not known here. */
static size_t
elements_of_bool(const description *dy, const description *mask)
{
    bool same = true, shared = dy->dim >= 2 && is_contiguous(mask);
    size_t run = 1;
    if (dy->dim != mask->dim || mask->dtype_there != fd_bool_dtype || mask->n > FD_SMALL) {
        return 0;
    }
    for (int64_t axis = 0; axis < dy->dim; axis++) {
        same &= mask->sizes[axis] == dy->sizes[axis];
        shared &= mask->sizes[axis] == (axis < 2 ? dy->sizes[axis] : 1);
        run *= axis < 2 ? 1 : (size_t)dy->sizes[axis];
    }
    return same ? 1 : shared ? run : 0;
}

/* dx lies as the mask, if each element has a bool of its own; else in C order. */
static tensor *
new_gradient(const description *dy, const description *mask, size_t run)
{
    description dx = *dy;
    int64_t strides[FD_MAX_DIMS], step = 1;
    for (int64_t axis = dy->dim; axis-- > 0; step *= dy->sizes[axis]) {
        strides[axis] = step;
    }
    dx.strides = run == 1 ? mask->strides : strides;
    return empty_like(&dx, dy->dtype_there);
}

/* native_dropout_backward(dy, mask, scale) -> dx */
void
native_dropout_backward_cpu(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    OWNED dy = handle_of(stack[0]);
    OWNED mask = handle_of(stack[1]);
    OWNED dx = NULL;
    const fd_affine numbers = {number_of(stack[2]), 0.0, 0.0};
    description of_dy, of_mask, of_dx;
    const void *from;
    small_bits kept;
    size_t run = 0;
    (void)inputs;
    (void)outputs;
    if (is_served_by(FD_BY_ALL) && describe_any(dy, &of_dy) && of_dy.dtype != FD_DTYPES &&
        describe(mask, &of_mask) && data_of(dy) != NULL && data_of(mask) != NULL) {
        run = elements_of_bool(&of_dy, &of_mask);
    }
    if (run == 0) {
        put(torch.native_dropout_backward(dy, mask, numbers.scale), stack);
        return;
    }
    dx = new_gradient(&of_dy, &of_mask, run);
    from = data_of(dy);
    describe(dx, &of_dx);
    if (!have_one_layout(&of_dy, &of_dx)) {
        torch.copy(dx, dy, false);
        from = data_of(dx);
    }
    pack((const uint8_t *)data_of(mask), (size_t)of_mask.n, &kept);
    apply_bits(&kept, (size_t)of_dy.n, run, of_dy.dtype, &numbers, from, data_to_write(dx));
    stack[0] = value_of(moved(&dx));
}

#endif
