/* SPDX-License-Identifier: BSD-3-Clause */
#include "tensors.h"

pytorch_functions fd_pytorch;
fd_dispatcher fd_dispatch;
size_t fd_served_by;
int32_t fd_dtypes[FD_DTYPES], fd_bool_dtype;

void
fd_dispatch_serve(fd_served by)
{
    fd_shared_write(&fd_served_by, (size_t)by);
}

#ifdef FD_HAS_DISPATCHER

#define A_NAME(RESULT, NAME, ARGUMENTS, SYMBOL) SYMBOL,
static const char *const names[] = {EACH_FUNCTION(A_NAME) NULL};
const char *const *fd_pytorch_names = names;

/* The operator; its kernels above autograd, or no_kernel, and below it. */
#define EACH_KERNEL(ROW)                                                                           \
    ROW("dropout", dropout_autograd, dropout_cpu)                                                  \
    ROW("dropout_", dropout_in_place_autograd, dropout_in_place_cpu)                               \
    ROW("feature_dropout", feature_dropout_autograd, feature_dropout_cpu)                          \
    ROW("feature_dropout_", feature_dropout_in_place_autograd, feature_dropout_in_place_cpu)       \
    ROW("alpha_dropout", alpha_dropout_autograd, alpha_dropout_cpu)                                \
    ROW("alpha_dropout_", alpha_dropout_in_place_autograd, alpha_dropout_in_place_cpu)             \
    ROW("feature_alpha_dropout", feature_alpha_dropout_autograd, feature_alpha_dropout_cpu)        \
    ROW("feature_alpha_dropout_", feature_alpha_dropout_in_place_autograd,                         \
        feature_alpha_dropout_in_place_cpu)                                                        \
    ROW("native_dropout", no_kernel, native_dropout_cpu)                                           \
    ROW("native_dropout_backward", no_kernel, native_dropout_backward_cpu)                         \
    ROW("bernoulli_.float", no_kernel, bernoulli_cpu)                                              \
    ROW("bernoulli_.Tensor", no_kernel, bernoulli_tensor_cpu)                                      \
    ROW("scaled_dot_product_attention", attention_autograd, attention_cpu)

#define A_DECLARATION(OPERATOR, AUTOGRAD, CPU)                                                     \
    void AUTOGRAD(stable_value *, uint64_t, uint64_t);                                             \
    void CPU(stable_value *, uint64_t, uint64_t);
EACH_KERNEL(A_DECLARATION)

#define A_ROW(OPERATOR, AUTOGRAD, CPU) {OPERATOR, AUTOGRAD, CPU},
static const struct {
    const char *operator;
    stable_kernel autograd, cpu;
} kernels[] = {EACH_KERNEL(A_ROW)};

/* In the place of a kernel that is not registered. */
void
no_kernel(stable_value *stack, uint64_t inputs, uint64_t outputs)
{
    (void)stack;
    (void)inputs;
    (void)outputs;
}

int
fd_register_kernels(void)
{
    const uint64_t version = (uint64_t)2 << 56 | (uint64_t)13 << 48; /* of the values' layout */
    void *autograd, *cpu;
    int failed = torch.library("aten", "AutogradCPU", __FILE__, __LINE__, &autograd) ||
                 torch.library("aten", "CPU", __FILE__, __LINE__, &cpu);
    for (int dtype = 0; dtype < FD_DTYPES; dtype++) {
        torch.dtype(&known.ones[dtype], &fd_dtypes[dtype]);
    }
    torch.dtype(&known.a_bool, &fd_bool_dtype);
    for (size_t i = 0; !failed && i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        failed = (kernels[i].autograd != no_kernel &&
                  torch.implement(autograd, kernels[i].operator, kernels[i].autograd, version)) ||
                 torch.implement(cpu, kernels[i].operator, kernels[i].cpu, version);
    }
    return failed ? -1 : 0;
}

#else

const char *const *fd_pytorch_names = NULL;

int
fd_register_kernels(void)
{
    return -1;
}

int
fd_dispatch_takes(const tensor *x, double p, int features, int alpha, fd_asked *asked)
{
    (void)x;
    (void)p;
    (void)features;
    (void)alpha;
    (void)asked;
    return 0;
}

void
fd_dispatch_ask(const fd_asked *asked)
{
    (void)asked;
}

#endif
