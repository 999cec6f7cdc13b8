# SPDX-License-Identifier: BSD-3-Clause
"""What layers add to their functions, and `mc_predict` to the calls that it makes."""

from .common import Benchmark, against, fd, make_array, make_source, require

P = 0.1
FLAT, TABLE, LINES = (4096,), (16, 256), (4, 16, 64)
MAPS, VOLUMES = (4, 16, 8, 8), (4, 16, 4, 4, 4)

# A layer, its function, that of its backward pass, and the shape of its array.
LAYERS = {
    "Dropout": ("dropout", "dropout_backward", FLAT),
    "Dropout1d": ("dropout1d", "dropout_backward", LINES),
    "Dropout2d": ("dropout2d", "dropout_backward", MAPS),
    "Dropout3d": ("dropout3d", "dropout_backward", VOLUMES),
    "DropPath": ("drop_path", "dropout_backward", MAPS),
    "EmbeddingDropout": ("embedding_dropout", "dropout_backward", TABLE),
    "DropBlock2d": ("drop_block2d", "dropout_backward", MAPS),
    "AlphaDropout": ("alpha_dropout", "dropout_backward", FLAT),
    "FeatureAlphaDropout": ("feature_alpha_dropout", "dropout_backward", MAPS),
    "GaussianDropout": ("gaussian_dropout", "dropout_backward", FLAT),
    "ReLUDropout": ("relu_dropout", "dropout_backward", FLAT),
    "GELUDropout": ("gelu_dropout", "gelu_dropout_backward", FLAT),
    "SiLUDropout": ("silu_dropout", "silu_dropout_backward", FLAT),
    "DropoutAdd": ("dropout_add", "dropout_backward", TABLE),
    "DropoutAddLayerNorm": ("dropout_add_layer_norm", "dropout_add_layer_norm_backward", TABLE),
    "DropoutAddRMSNorm": ("dropout_add_rms_norm", "dropout_add_rms_norm_backward", TABLE),
    "Zoneout": ("zoneout", "zoneout_backward", FLAT),
    "DropConnect": ("drop_connect", "drop_connect_backward", TABLE),
}


@against("functions")
class Layers(Benchmark):
    """Forward and backward on 4096 elements; the baseline is the functions of the layer."""

    params = [list(LAYERS)]
    param_names = ["layer"]

    def prepare(self, name):
        function_name, backward_name, shape = LAYERS[name]
        layer_class = require(name)
        function, backward = require(function_name), require(backward_name)
        rng, x = make_source("Xoshiro256PlusPlus"), make_array(shape)
        arrays, own, known = [x], [], []
        if name in ("DropoutAdd", "Zoneout") or "Norm" in name:
            arrays.append(make_array(shape))
        dy = x
        if name in ("GELUDropout", "SiLUDropout"):
            known = [x]
        if "Norm" in name:
            own = [make_array(shape[-1:]) for _ in range(2 if "Layer" in name else 1)]
            known = [*arrays, own[0]]
        if name == "DropConnect":
            own, dy = [make_array((64, 256))], make_array((16, 64))
            known = [x, *own]
        layer = layer_class(*own, P, rng=make_source("Xoshiro256PlusPlus"))

        def step_of_layer():
            layer.forward(*arrays)
            layer.backward(dy)

        def step_of_functions():
            _, mask = function(*arrays, *own, P, rng=rng)
            backward(dy, *known, mask)

        self.call, self.baseline = step_of_layer, step_of_functions


@against("loops")
class MonteCarlo(Benchmark):
    """Mean and deviation of 50 predictions; the baseline is a loop that makes the predictions."""

    params = [[16, 1024]]
    param_names = ["batch"]

    def prepare(self, batch):
        mc_predict = require("mc_predict")
        rng, x, weight = (
            make_source("Xoshiro256PlusPlus"),
            make_array((batch, 64)),
            make_array((64, 10)),
        )

        def forward(x):
            return fd.dropout(x, 0.5, rng=rng)[0] @ weight

        self.call = lambda: mc_predict(forward, x, 50)
        self.baseline = lambda: [forward(x) for _ in range(50)]
