"""The models of the benchmark, in bpjax: each a loss of parameters and data, at a size."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import bpjax.functional as F
from bpjax import nn
from bpjax.models.gpt import GPT, Block, language_loss


class Problem(NamedTuple):
    loss: Callable  # of (params, *data), a scalar
    params: Any
    data: tuple
    items: int  # how many of `unit` one step sees
    unit: str
    checkpointed: Callable | None = None  # of a policy of jax.checkpoint: the loss with its blocks under that policy


class Workload(NamedTuple):
    name: str
    kind: str  # what a competitor builds: a function of this name in benchmarks/in_*.py
    sizes: dict
    make: Callable[..., Problem]
    steps: int = 0  # 0: value and gradient; else so many steps of gradient descent in one compiled call
    quick: bool = False  # whether `--quick` runs it


class MLP(nn.Module):
    """Pixels (N, 784) -> logits (N, 10); `layers` linear layers with an activation between."""

    def __init__(self, activation: str, layers: int, width: int):
        widths = [784, *[width] * (layers - 1), 10]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths, widths[1:])])
        self.activation = getattr(F, activation)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class CNN(nn.Module):
    """Images (N, 3, 32, 32) -> logits (N, 10): three times convolution, batch norm, ReLU, max-pooling."""

    def __init__(self, width: int):
        widths = [3, width, 2 * width, 4 * width]
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in zip(widths, widths[1:])])
        self.norms = nn.ModuleList([nn.BatchNorm2d(b) for b in widths[1:]])
        self.head = nn.Linear(4 * width * 16, 10)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        return self.head(x.reshape(x.shape[0], -1))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around which the input, where it changes size a projection of it, is added."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.conv3, self.bn3 = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.bn3(self.conv3(x)) if self.projects else x))


class ResNet18(nn.Module):
    """Images (N, 3, 32, 32) -> logits (N, 10): ResNet-18 (https://arxiv.org/abs/1512.03385) with the stem for small images."""

    def __init__(self):
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = nn.ModuleList([BasicBlock(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:])])
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Depthwise(nn.Module):
    """The inverted residual of MobileNet (https://arxiv.org/abs/1801.04381): widen by 1 x 1, each channel by itself 3 x 3, narrow."""

    def __init__(self, channels: int, factor: int):
        wide = factor * channels
        self.conv1, self.bn1 = nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.conv2, self.bn2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide)
        self.conv3, self.bn3 = nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu6(self.bn2(self.conv2(F.relu6(self.bn1(self.conv1(x))))))
        return x + self.bn3(self.conv3(y))


class LanguageLSTM(nn.Module):
    """Tokens (N, T) -> features (N, T, width): an embedding and LSTM layers; `head` turns features into logits."""

    def __init__(self, vocabulary: int, width: int, layers: int):
        self.token = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.lstm(self.token(tokens))[0]


def xor():
    from examples import xor

    params = xor.initial(jax.random.key(0))
    return Problem(xor.loss, params, (jnp.array(xor.X, float), jnp.array(xor.Y, float)), 4, "examples")


def mlp(activation, layers, width, batch):
    model = MLP(activation, layers, width)
    x, labels = jax.random.normal(jax.random.key(1), (batch, 784)), jnp.arange(batch) % 10
    loss = lambda params, x, labels: F.cross_entropy(model.apply(params, x), labels)
    return Problem(loss, model.init(jax.random.key(0)), (x, labels), batch, "images")


def classifier(model, batch):
    images, labels = jax.random.normal(jax.random.key(1), (batch, 3, 32, 32)), jnp.arange(batch) % 10

    def loss(params, images, labels):
        logits, _ = model.apply(params, images, buffers=model.init_buffers(), train=True)
        return F.cross_entropy(logits, labels)

    return Problem(loss, model.init(jax.random.key(0)), (images, labels), batch, "images")


def cnn(width, batch):
    return classifier(CNN(width), batch)


def resnet18(batch):
    return classifier(ResNet18(), batch)


def depthwise(channels, factor, batch):
    model = Depthwise(channels, factor)
    images, target = jax.random.normal(jax.random.key(1), (2, batch, channels, 32, 32))

    def loss(params, images, target):
        output, _ = model.apply(params, images, buffers=model.init_buffers(), train=True)
        return F.mse_loss(output, target)

    return Problem(loss, model.init(jax.random.key(0)), (images, target), batch, "images")


def lstm(vocabulary, width, layers, batch, length):
    model = LanguageLSTM(vocabulary, width, layers)
    tokens = jax.random.randint(jax.random.key(1), (batch, length + 1), 0, vocabulary)

    def loss(params, tokens):
        features = model.apply(params, tokens[:, :-1])
        W, b = params["head"]["weight"], params["head"]["bias"]
        return F.linear_cross_entropy(features.reshape(-1, width), W, tokens[:, 1:].reshape(-1), linear_bias=b)

    return Problem(loss, model.init(jax.random.key(0)), (tokens,), batch * length, "tokens")


def gpt(batch, length, vocabulary, width=256, heads=4, layers=4, repeat=None):
    tokens = jax.random.randint(jax.random.key(1), (batch, length + 1), 0, vocabulary)

    def loss_of(model):
        of_batch = language_loss(model)
        return lambda params, tokens: of_batch(params, tokens, buffers={}, rng=None, train=True)[0]

    def checkpointed(policy):
        def forward(self, x):
            return jax.checkpoint(functools.partial(Block.forward, self), policy=policy)(x)

        return loss_of(make(type("CheckpointedBlock", (Block,), {"forward": forward}), repeat and "fast"))

    make = lambda block, repeat: GPT(vocabulary, length, width, heads, layers, block=block, repeat=repeat)
    model = make(Block, repeat)
    return Problem(loss_of(model), model.init(jax.random.key(0)), (tokens,), batch * length, "tokens", checkpointed)


def _gpt(batch, length, vocabulary, quick=False, **options):
    name = f"GPT ({batch}, {length}, {vocabulary})" + (f", {options['layers']} layers repeated, {options['repeat']}" if options else "")
    return Workload(name, "gpt", {"batch": batch, "length": length, "vocabulary": vocabulary, **options}, gpt, quick=quick)


WORKLOADS = [
    Workload("XOR, 10,000 epochs", "xor", {}, xor, steps=10_000, quick=True),
    Workload("MLP, 8 layers, ReLU", "mlp", {"activation": "relu", "layers": 8, "width": 512, "batch": 1024}, mlp, quick=True),
    Workload("MLP, 8 layers, GELU", "mlp", {"activation": "gelu", "layers": 8, "width": 512, "batch": 1024}, mlp, quick=True),
    Workload("CNN", "cnn", {"width": 32, "batch": 64}, cnn, quick=True),
    Workload("CNN, 10 steps scanned", "cnn", {"width": 32, "batch": 64}, cnn, steps=10, quick=True),
    Workload("ResNet-18", "resnet18", {"batch": 32}, resnet18),
    Workload("depthwise block", "depthwise", {"channels": 32, "factor": 6, "batch": 32}, depthwise, quick=True),
    Workload("LSTM, 2 layers", "lstm", {"vocabulary": 8192, "width": 256, "layers": 2, "batch": 16, "length": 128}, lstm, quick=True),
    _gpt(4, 256, 8192, quick=True),
    _gpt(1, 1024, 32768),
    _gpt(1, 2048, 8192),
    _gpt(1, 4096, 1024),
    _gpt(1, 8192, 1024),
    _gpt(1, 1024, 8192, layers=12, repeat="fast"),
    _gpt(1, 1024, 8192, layers=12, repeat="lean"),
]
