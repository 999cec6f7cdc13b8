/* SPDX-License-Identifier: BSD-3-Clause */
#include "tensors.h"

#ifdef FD_HAS_DISPATCHER

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
    if ((p == 0.0 && !is_watched()) || is_stock()) {
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
