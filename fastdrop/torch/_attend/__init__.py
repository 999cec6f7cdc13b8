# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout of the weights: in blocks, or whole where blocks cannot serve.

Both have the same mask. From the bottom up:

    inputs    what PyTorch's attention takes, and what blocks take
    whole     the formula, with the whole matrix of weights
    blocks    the kernels of `_attention`, in parts whose copies are small
    autograd  their derivatives, and what is kept for them
    operator  the same as one step of a traced program
"""
