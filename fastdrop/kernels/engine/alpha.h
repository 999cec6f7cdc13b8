/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alpha dropout keeps the mean 0 and the variance 1 of what SELU gives (Klambauer et al., 2017,
 * "Self-Normalizing Neural Networks", section 2.5): dropped elements take SELU's least value, and
 * all are then scaled and shifted. functional/_scales.py says the same in Python, as compilers of
 * PyTorch must read it; a test compares the two.
 */
#ifndef FD_ALPHA_H
#define FD_ALPHA_H

#include <math.h>

#include "../common.h"

typedef struct {
    double scale, shift, dropped; /* y = kept ? x * scale + shift : dropped */
} fd_affine;

FD_INLINE fd_affine
fd_alpha_numbers(double p)
{
    /* The parameters of SELU, and its least value. */
    const double alpha = 1.6732632423543772848170429916717;
    const double lambda = 1.0507009873554804934193349852946;
    const double limit = -lambda * alpha;
    const double kept = (1.0 - p) * (1.0 + p * limit * limit);
    fd_affine numbers = {(double)INFINITY, 0.0, 0.0};
    if (kept != 0.0) {
        numbers.scale = 1.0 / sqrt(kept);
        numbers.shift = -numbers.scale * p * limit;
        numbers.dropped = numbers.scale * (1.0 - p) * limit;
    }
    return numbers;
}

#endif
