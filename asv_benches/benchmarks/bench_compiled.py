# SPDX-License-Identifier: BSD-3-Clause
"""Training steps that `torch.compile` has made, compared with the same steps without dropout."""

import shutil
from contextlib import nullcontext

from .common import BUFFER, Torch, against

BACKEND = "inductor"


def without_dropout(model):
    """Let the dropout modules of a model drop nothing; return the model."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@against("steps")
class CompiledSteps(Torch):
    """A step of a model; the baseline is compiled as well."""

    params = [["stock", "installed"], ["mlp", "conv"]]
    param_names = ["way", "model"]

    def prepare(self, way, model):
        super().prepare(way, model)
        import torch

        if BACKEND == "inductor" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
            raise NotImplementedError("needs a C++ compiler")
        torch.compiler.reset()
        dropping, batch = self.tax.MODELS[model]()
        bare = without_dropout(self.tax.MODELS[model]()[0])
        batch = BUFFER.tensor(batch)
        with self.way(way)():
            self.call = self.compiled(dropping, batch)
        self.baseline = self.compiled(bare, batch)
        self.around = self.way(way), nullcontext

    def compiled(self, model, batch):
        """Return a step of a model, which has run once."""
        import torch

        run = torch.compile(model, backend=BACKEND, fullgraph=True)

        def step():
            run(batch).square().mean().backward()
            for parameter in model.parameters():
                parameter.grad = None

        step()
        return step
