/* SPDX-License-Identifier: BSD-3-Clause */
#include "masks.h"

#ifdef FD_HAS_DISPATCHER

/* An operator. What is not taken goes again through the dispatcher, to the kernel in Python, or to
 * PyTorch's own code; the last two are those of the form in place. */
typedef struct {
    bool features, alpha, in_place;
    bool below_autograd; /* nothing is recorded */
    returned (*again)(key_set, const tensor *, double, bool);
    returned (*stock)(const tensor *, double, bool);
    tensor *(*in_place_again)(key_set, tensor *, double, bool);
    tensor *(*in_place_stock)(tensor *, double, bool);
} form;

/* x under a new mask, with its derivative, which is PyTorch's of native_dropout. */
static tensor *
drop_tracked(const tensor *x, const fd_asked *asked)
{
    const optional_bool train = {true, true};
    returned both;
    int mask;
    fd_dispatch_ask(asked);
    both = torch.native_dropout(x, asked->p_there, train);
    mask = place_of_mask(&both);
    torch.delete_handle(handle_of_impl(both.words[mask]));
    return handle_of_impl(both.words[1 - mask]);
}

static tensor *
drop_untracked(const tensor *x, const description *described, const fd_asked *asked)
{
    OWNED y = empty_like(described, described->dtype_there);
    const fd_seeded place = draw_place(NULL, fd_drop_threshold(asked->p));
    const size_t n = (size_t)described->n;
    small_bits kept;
    make_bits(&place, n / asked->run, &kept);
    apply_bits(&kept, n, asked->run, described->dtype, &asked->numbers, data_of(x),
               data_to_write(y));
    return moved(&y);
}

/* As fd_dispatch_takes; describes x too. */
static bool
takes(const tensor *x, double p, bool features, bool alpha, fd_asked *asked, description *described)
{
    if (!is_served_by(FD_BY_ALL) || !(p > 0.0 && p <= 1.0) || !describe_floats(x, described)) {
        return false;
    }
    asked->x = x->impl;
    asked->p = asked->p_there = p;
    asked->run = features ? elements_of_feature(described) : 1;
    if (asked->run == 0 || (uint64_t)described->n / asked->run > FD_SMALL) {
        return false;
    }
    if (alpha && p > 0.9 && p < 1.0) { /* 1 / (1 - p_there) would have few right digits */
        return false;
    }
    asked->numbers.scale = p < 1.0 ? 1.0 / (1.0 - p) : 1.0;
    asked->numbers.shift = asked->numbers.dropped = 0.0;
    if (alpha && p < 1.0) {
        asked->numbers = fd_alpha_numbers(p);
        asked->p_there = 1.0 - 1.0 / asked->numbers.scale;
    }
    return true;
}

int
fd_dispatch_takes(const tensor *x, double p, int features, int alpha, fd_asked *asked)
{
    description described;
    return takes(x, p, features, alpha, asked, &described);
}

/* x under a new mask where these kernels take the call; else NULL. */
static tensor *
drop_small(const tensor *x, double p, const form *how)
{
    description described;
    fd_asked asked;
    bool is_dual, tracked;
    if (!takes(x, p, how->features, how->alpha, &asked, &described) || is_watched() ||
        (how->in_place && keys_of(x) != known.plain[0])) {
        return NULL;
    }
    if (how->below_autograd) {
        return drop_untracked(x, &described, &asked);
    }
    torch.is_defined(torch.tangent(x->impl, 0, x), &is_dual);
    tracked = torch.requires_grad(x->impl) && torch.grad_is_enabled();
    if (is_dual || (tracked && how->in_place && (torch.is_leaf(x) || torch.is_view(x)))) {
        return NULL;
    }
    return tracked ? drop_tracked(x, &asked) : drop_untracked(x, &described, &asked);
}

/* The result, by whoever serves the call; owns what is given. */
static tensor *
drop(tensor *given, double p, bool train, const form *how)
{
    OWNED x = given;
    OWNED y = NULL;
    const key_set elsewhere = known.in_python[how->below_autograd];
    if (p >= 0.0 && p <= 1.0 && (!train || p == 0.0) && !is_served_by(FD_BY_PYTORCH)) {
        return moved(&x);
    }
    if (train) {
        y = drop_small(x, p, how);
    }
    if (how->in_place) {
        if (y != NULL) {
            torch.copy(x, y, false);
        } else if (is_stock()) {
            how->in_place_stock(x, p, train);
        } else {
            how->in_place_again(elsewhere, x, p, train);
        }
        return moved(&x);
    }
    if (y != NULL) {
        return moved(&y);
    }
    return handle_of_impl(
        (is_stock() ? how->stock(x, p, train) : how->again(elsewhere, x, p, train)).words[0]);
}

#define KERNEL(NAME, ...)                                                                          \
    void NAME(stable_value *stack, uint64_t inputs, uint64_t outputs)                              \
    {                                                                                              \
        const form how = {__VA_ARGS__};                                                            \
        (void)inputs;                                                                              \
        (void)outputs;                                                                             \
        stack[0] = value_of(                                                                       \
            drop(handle_of(stack[0]), number_of(stack[1]), truth_of(stack[2]), &how));             \
    }

#define NEW(NAME) torch.NAME##_again, torch.NAME##_stock, NULL, NULL
#define CHANGED(NAME) NULL, NULL, torch.NAME##_in_place_again, torch.NAME##_in_place_stock

/* Of one operator and its form in place, above autograd and below it. */
#define KERNELS(NAME, FEATURES, ALPHA)                                                             \
    KERNEL(NAME##_autograd, FEATURES, ALPHA, false, false, NEW(NAME))                              \
    KERNEL(NAME##_cpu, FEATURES, ALPHA, false, true, NEW(NAME))                                    \
    KERNEL(NAME##_in_place_autograd, FEATURES, ALPHA, true, false, CHANGED(NAME))                  \
    KERNEL(NAME##_in_place_cpu, FEATURES, ALPHA, true, true, CHANGED(NAME))

KERNELS(dropout, false, false)
KERNELS(feature_dropout, true, false)
KERNELS(alpha_dropout, false, true)
KERNELS(feature_alpha_dropout, true, true)

#endif
