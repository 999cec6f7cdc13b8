# SPDX-License-Identifier: BSD-3-Clause
"""What ``torch.compile`` makes of dropout while it is installed.

Dynamo records PyTorch's own functions. Then AOTAutograd runs the record through PyTorch's
dispatcher, where the kernels of `install` are. They put operators of the package into the graph.

    graph      when the kernels do so, and which operators
    settings   what the compiler is told, so that graphs on disk are not taken for stock's
    passes     what inductor does with these operators
    kept       the operator for decisions, which passes need
"""
