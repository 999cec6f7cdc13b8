/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Kernels for PyTorch's dispatcher, for small tensors: a call of one costs less than to enter
 * Python. Whatever they do not take they hand on to the kernels in Python, which PyTorch has under
 * two keys of a device that no program has.
 *
 *     pytorch.h           what is called of PyTorch, and how
 *     tensors.h           handles and descriptions of tensors
 *     masks.h             words are drawn, and bits are made of them and applied
 *     dropout.c           dropout, feature_dropout, their relatives, and the forms in place
 *     native_dropout.c    the form that keeps its mask; it has the derivative of the former
 *     bernoulli.c         bernoulli_ with a number and with a tensor of probabilities
 *     attention.c         attention without dropout is PyTorch's
 *     register.c          gives them to the dispatcher
 */
#ifndef FD_DISPATCHER_H
#define FD_DISPATCHER_H

#include "engine/alpha.h"
#include "engine/api.h"
#include "pytorch.h"

/* The most decisions that these kernels take: one thread makes them, and one byte is kept for each
 * of them where there is a backward pass. The kernels in Python keep nothing, and take longer to be
 * called: see tools/torch_small_calls.py. */
enum { FD_SMALL = 1 << 14 };

enum { FD_WORDS = 64 }; /* calls that draw words at one moment; further ones wait */

/* What is found out when the package is loaded. */
typedef struct {
    const fd_api *engine;
    size_t key_set_offset;    /* in c10::TensorImpl */
    key_set plain[2];         /* of a tensor that is an address and strides; in inference mode */
    dispatch_key watching[3]; /* included where somebody records, transforms or looks on */
    key_set in_python[2];     /* of the kernels in Python, above autograd and below it */
    tensor ones[FD_DTYPES];   /* FD_SMALL of each */
    tensor a_bool;            /* a tensor of this dtype */
    tensor words[FD_WORDS];   /* 4 numbers of int64, of which the first 3 are drawn ... */
    tensor drawn[FD_WORDS];   /* ... as this view of them */
} fd_dispatcher;

/* The functions of PyTorch, as rows of EACH_FUNCTION: their names, ended by NULL, and where their
 * addresses are to be written. NULL: there are no such kernels for this platform. */
extern const char *const *fd_pytorch_names;
extern pytorch_functions fd_pytorch;

extern fd_dispatcher fd_dispatch;

/* Gives the kernels to the dispatcher; returns 0, or -1 where PyTorch refuses. Once in a process. */
int fd_register_kernels(void);

/* Who serves the calls from now on: PyTorch's own code, these kernels as far as they go, or the
 * kernels in Python alone. */
typedef enum { FD_BY_PYTORCH, FD_BY_ALL, FD_BY_PYTHON } fd_served;
void fd_dispatch_serve(fd_served by);

/* What the next native_dropout of this thread is to do to `x`: a mask of whole features, or the
 * numbers of alpha dropout. `run` elements share a decision. */
typedef struct {
    const void *x; /* the c10::TensorImpl; NULL: nothing is asked, it does what its arguments say */
    size_t run;
    double p;
    double p_there; /* what native_dropout is told: its derivative multiplies by 1 / (1 - p) */
    fd_affine numbers;
} fd_asked;

/* Says how the dropout of a tensor is to be done; returns 0 where these kernels do not take it. */
int fd_dispatch_takes(const tensor *x, double p, int features, int alpha, fd_asked *asked);

/* Asks for it, once. */
void fd_dispatch_ask(const fd_asked *asked);

#endif
