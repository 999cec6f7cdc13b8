/* SPDX-License-Identifier: BSD-3-Clause */
#include "tensors.h"

#ifdef FD_HAS_DISPATCHER

/* Up to so many weights PyTorch's formula, whose dropout is a kernel of C, takes less time than it
 * takes to call the blocks, which are in Python. */
enum { FEW_WEIGHTS = 1 << 9 };

static bool
has_few_weights(const tensor *query, const tensor *key)
{
    description of_query, of_key;
    return describe_any(query, &of_query) && describe_any(key, &of_key) && of_query.dim >= 2 &&
           of_key.dim >= 2 &&
           of_query.n / of_query.sizes[of_query.dim - 1] * of_key.sizes[of_key.dim - 2] <=
               FEW_WEIGHTS;
}

static bool
is_derived(const tensor *x)
{
    return x != NULL && torch.requires_grad(x->impl) && torch.grad_is_enabled();
}

/* scaled_dot_product_attention(query, key, value, mask?, p, is_causal, *, scale?, enable_gqa) */
static void
attend(stable_value *stack, key_set elsewhere)
{
    OWNED query = handle_of(stack[0]);
    OWNED key = handle_of(stack[1]);
    OWNED value = handle_of(stack[2]);
    OWNED_VALUE given_mask = (stable_value *)address_of(stack[3]);
    OWNED mask = given_mask == NULL ? NULL : handle_of(*given_mask);
    OWNED_VALUE given_scale = (stable_value *)address_of(stack[6]);
    const optional_pointer masked = {mask == NULL ? NULL : mask->impl, mask != NULL};
    const optional_double scale = {given_scale == NULL ? 0.0 : number_of(*given_scale),
                                   given_scale != NULL};
    const double p = number_of(stack[4]);
    const bool is_causal = truth_of(stack[5]), gqa = truth_of(stack[7]);
    const bool by_formula = is_served_by(FD_BY_ALL) && has_few_weights(query, key) &&
                            !is_derived(query) && !is_derived(key) && !is_derived(value) &&
                            !is_derived(mask);
    if (((p == 0.0 || by_formula) && !is_watched()) || is_stock()) {
        put(torch.attention(query, key, value, &masked, p, is_causal, scale, gqa), stack);
    } else {
        put(torch.attention_again(elsewhere, query, key, value, &masked, p, is_causal, scale, gqa),
            stack);
    }
}

void
attention_autograd(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    (void)inputs;
    (void)outputs;
    attend(stack, known.in_python[0]);
}

void
attention_cpu(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    (void)inputs;
    (void)outputs;
    attend(stack, known.in_python[1]);
}

#endif
