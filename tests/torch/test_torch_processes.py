# SPDX-License-Identifier: BSD-3-Clause
"""Workers, forks and ranks draw masks as PyTorch's seeds say; a step takes less memory."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import fastdrop.torch

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Masks(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return F.dropout(torch.ones(1000))


@fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one CPU
def test_workers_of_a_loader(installed):
    F.dropout(torch.ones(1 << 18))  # the threads of this process are at work already

    def epoch():
        torch.manual_seed(3)
        loader = DataLoader(Masks(), batch_size=1, num_workers=2, multiprocessing_context="fork")
        return [batch[0] for batch in loader]

    first = epoch()
    assert all(torch.equal(a, b) for a, b in zip(first, epoch(), strict=True))
    for i, a in enumerate(first):
        assert set(a.tolist()) == {0.0, 2.0}
        assert not any(torch.equal(a, b) for b in first[:i])


RANK = """
import os, sys
import torch, torch.distributed as distributed, torch.nn as nn
import fastdrop.torch
fastdrop.torch.install()
rank, seed_alike = int(sys.argv[1]), sys.argv[2] == "alike"
distributed.init_process_group("gloo", rank=rank, world_size=2, init_method="file://" + sys.argv[3])
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5))
model = nn.parallel.DistributedDataParallel(model)
if seed_alike:
    torch.manual_seed(5)
else:
    torch.seed()
y = model(torch.ones(4, 16))
y.sum().backward()
gradients = model.module[0].bias.grad
gathered = [torch.empty_like(y) for _ in range(2)]
distributed.all_gather(gathered, y.detach())
summed = gradients.clone()
distributed.all_reduce(summed)
assert torch.allclose(summed, 2 * gradients)
kept = [z != 0 for z in gathered]
assert torch.equal(kept[0], kept[1]) == seed_alike
distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ("alike", "unlike"))
def test_ranks_of_distributed_data_parallel(tmp_path, seeds):
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), seeds, str(tmp_path / "store")])
        for rank in range(2)
    ]
    assert [rank.wait(timeout=240) for rank in ranks] == [0, 0]


# The peak is reset first: that of the imports depends on what was compiled and cached before.
PEAK = """
import sys, torch, torch.nn as nn
import fastdrop.torch

def kibibytes(of):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(of))

if "fastdrop" in sys.argv:
    fastdrop.torch.install()
model = nn.Sequential(*[nn.Sequential(nn.Hardtanh(), nn.Dropout(0.5)) for _ in range(12)])
model(torch.randn(10, requires_grad=True)).sum().backward()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = kibibytes("VmRSS")
model(torch.randn(1 << 22, requires_grad=True)).sum().backward()
print(kibibytes("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux")
def test_a_step_takes_less_memory():
    # Freed tensors go back to the system at once, so that the peak is that of living ones.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", PEAK, who], env=environment))
        for who in ("stock", "fastdrop")
    ]
    saved = 1024 * (peaks[0] - peaks[1])
    # Stock keeps 4 bytes an element for the mask of each of the twelve layers.
    assert saved > 0.9 * 12 * 4 * (1 << 22)


def test_the_mask_for_backward_takes_no_memory_of_the_tensors_size(installed):
    kept = []
    for n in (100_000, 1_000_000):
        y = F.dropout(torch.ones(n, requires_grad=True), 0.5)
        kept.append(sys.getsizeof(y.grad_fn.mask))
    assert kept[0] == kept[1]


def test_a_model_learns(installed):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    target = (x[:, :1] * x[:, 1:2] > 0).float()
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), target).backward()
        optimizer.step()
    accuracy = ((model.eval()(x) > 0).float() == target).float().mean()
    assert accuracy > 0.95
    assert fastdrop.torch.accelerated(fastdrop.torch.accelerate(model)) == {"2": "Dropout"}
