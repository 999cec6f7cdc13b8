# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of PyTorch's own modules with their dropout fused: only the class of a module changes.

A block is fused in a call where that is sure to be the same: its parts are PyTorch's modules as
they are, without hooks, and its input is a plain tensor. Any other call is PyTorch's own.

    proof        what can be proved of modules and tensors
    activations  which fused function is that of an activation
    linear       a linear map with the dropout behind it
    sequential, transformer
                 the classes of fused modules
    model        which modules of a model get them
    output       ends of blocks of other libraries
"""

from fastdrop.torch._fuse.model import fuse
from fastdrop.torch._fuse.output import fuse_output
from fastdrop.torch._fuse.proof import Fused
from fastdrop.torch._fuse.sequential import Sequential
from fastdrop.torch._fuse.transformer import TransformerDecoderLayer, TransformerEncoderLayer

__all__ = ["Fused", "fuse", "fuse_output"]

for _cls in (Sequential, TransformerDecoderLayer, TransformerEncoderLayer):
    _cls.__module__ = __name__  # the path by which modules are pickled
