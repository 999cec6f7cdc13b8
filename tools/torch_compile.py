# SPDX-License-Identifier: BSD-3-Clause
"""Prints what dropout adds to compiled training steps of PyTorch models.

Each model is compiled by inductor in three ways, which take turns in one process: without dropout,
with PyTorch's dropout, and with that after `fastdrop.torch.install()`. A figure is the median, over
the rounds, of the ratio to the first way in the same round, less one; the last column has the ratio
of the least times. On one thread it is the time that the thread computes, which other programs on
the machine change little. The exit status does not judge.

The models whose names begin with hf are of transformers, with random weights: they need that
package.

PyTorch finds what it has compiled by the code of the outermost function, so each way has a
function of its own.

    python tools/torch_compile.py [--threads 1] [--rounds 30] [--models mlp conv ...]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch_tax import conv, keep_memory, mlp

import fastdrop.torch
from fastdrop.cli._bench_turns import in_turn, median_ratio

WAYS = ("none", "stock", "fastdrop")


class Elementwise(nn.Module):
    """relu, dropout and a sum of 2^20 elements."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.drop = nn.Dropout(p)
        self.residual = nn.Parameter(torch.randn(1024, 1024))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return self.drop(x.relu()) + self.residual


class Block(nn.Module):
    """A block of the GPT style, with causal attention."""

    def __init__(self, width: int = 256, heads: int = 8, p: float = 0.1) -> None:
        super().__init__()
        self.heads, self.p, self.drop = heads, p, nn.Dropout(p)
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        wide = [nn.Linear(width, 4 * width), nn.GELU(approximate="tanh")]
        self.perceptron = nn.Sequential(*wide, nn.Linear(4 * width, width), nn.Dropout(p))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x after attention and perceptron."""
        batch, length, width = x.shape
        parts = self.inner(self.norms[0](x)).view(batch, length, 3, self.heads, -1).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(query, key, value, None, self.p, True)
        x = x + self.drop(self.outer(y.transpose(1, 2).reshape(batch, length, width)))
        return x + self.perceptron(self.norms[1](x))


def elementwise() -> tuple[nn.Module, torch.Tensor]:
    """Return relu, dropout and a sum, and 2^20 elements."""
    return Elementwise(), torch.randn(1024, 1024, requires_grad=True)


def bert() -> tuple[nn.Module, torch.Tensor]:
    """Return two layers of the BERT style, and a batch."""
    layers = (
        nn.TransformerEncoderLayer(256, 8, 1024, 0.1, "gelu", batch_first=True) for _ in range(2)
    )
    return nn.Sequential(*layers), torch.randn(16, 128, 256)


def vit() -> tuple[nn.Module, torch.Tensor]:
    """Return two layers of the ViT style, and a batch of 196 patches and a token."""
    layers = (
        nn.TransformerEncoderLayer(192, 3, 768, 0.1, "gelu", batch_first=True, norm_first=True)
        for _ in range(2)
    )
    return nn.Sequential(*layers), torch.randn(8, 197, 192)


def gpt() -> tuple[nn.Module, torch.Tensor]:
    """Return two blocks of the GPT style, and a batch."""
    return nn.Sequential(Block(), Block()), torch.randn(8, 256, 256)


class LastHidden(nn.Module):
    """What a model of transformers knows of each token."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.train()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last hidden state."""
        y: torch.Tensor = self.model(x).last_hidden_state
        return y


def hf_bert(width: int = 512, layers: int = 4, batch: int = 4) -> tuple[nn.Module, torch.Tensor]:
    """Return BERT of transformers, and sentences."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": width, "num_hidden_layers": layers, "intermediate_size": 4 * width}
    config = BertConfig(vocab_size=1000, num_attention_heads=8, **sizes)
    model = BertModel(config, add_pooling_layer=False)
    return LastHidden(model), torch.randint(1000, (batch, 128))


def hf_gpt2() -> tuple[nn.Module, torch.Tensor]:
    """Return GPT-2 of transformers, and sentences."""
    from transformers import GPT2Config, GPT2Model

    tokens = {"vocab_size": 1000, "bos_token_id": 0, "eos_token_id": 0, "n_positions": 128}
    config = GPT2Config(n_embd=512, n_layer=4, n_head=8, use_cache=False, **tokens)
    return LastHidden(GPT2Model(config)), torch.randint(1000, (4, 128))


def hf_vit() -> tuple[nn.Module, torch.Tensor]:
    """Return ViT of transformers, with dropout of 0.1, and images."""
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 512, "num_hidden_layers": 4, "intermediate_size": 2048}
    dropped = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    config = ViTConfig(num_attention_heads=8, **sizes, **dropped)
    return LastHidden(ViTModel(config, add_pooling_layer=False)), torch.randn(2, 3, 224, 224)


MODELS = {
    "elementwise": elementwise,
    "mlp": mlp,
    "conv": conv,
    "bert": bert,
    "gpt": gpt,
    "vit": vit,
    "hf_bert_256": lambda: hf_bert(256, 2, 8),
    "hf_bert": hf_bert,
    "hf_gpt2": hf_gpt2,
    "hf_vit": hf_vit,
}


def without_dropout(model: nn.Module) -> nn.Module:
    """Return a model whose modules drop nothing, under whatever name they keep the probability."""
    for module in model.modules():
        for name in ("p", "dropout", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def compiled(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]]) -> Callable[[], None]:
    """Return a training step of a model, compiled in one of the ways."""
    torch.manual_seed(0)
    model, batch = make()
    if name == "none":
        model = without_dropout(model)
    names: dict[str, object] = {"model": model}
    exec(compile("def run(x): return model(x)", f"<{name}>", "exec"), names)  # a code of its own
    run = torch.compile(names["run"], fullgraph=True)
    gradient = torch.randn_like(model(batch))

    def step() -> None:
        run(batch).backward(gradient)
        batch.grad = None
        for parameter in model.parameters():
            parameter.grad = None

    step()
    return step


def measure(
    make: Callable[[], tuple[nn.Module, torch.Tensor]], threads: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of a step in each way, in each round."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    steps = {name: compiled(name, make) for name in ("none", "stock")}
    with fastdrop.torch.installed():
        steps["fastdrop"] = compiled("fastdrop", make)

    def least(name: str) -> float:
        times = []
        for _ in range(3):
            start = clock()
            steps[name]()
            times.append(clock() - start)
        return min(times)

    in_turn(WAYS, least, 2)
    return in_turn(WAYS, least, rounds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    print(f"{'model':12} {'none, ms':>9} {'stock':>8} {'fastdrop':>9} {'least':>7}")
    for name in options.models:
        seconds = measure(MODELS[name], options.threads, options.rounds)
        stock, own = (median_ratio(seconds, way, "none") - 1 for way in WAYS[1:])
        least = min(seconds["fastdrop"]) / min(seconds["none"]) - 1
        base = 1e3 * statistics.median(seconds["none"])
        print(f"{name:12} {base:9.2f} {stock:8.1%} {own:9.1%} {least:7.1%}", flush=True)


if __name__ == "__main__":
    main()
