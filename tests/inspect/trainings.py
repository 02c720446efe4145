"""Planted trainings, sick and healthy: what `bpjax.inspect.verdicts` is judged by.

One table, `TRAININGS`: each row names what is planted, a (kind, module), or None for a training that nothing ails. Every training is short
and tiny; the data are real digits or made here.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import bpjax.functional as F
from bpjax import inspect, nn
from bpjax.models.digits import MODELS
from bpjax.program.modules import leaf_name
from bpjax.training import TrainState, run_steps

STEPS, CHUNK = 50, 5
UPHILL = "update goes up the gradient"
ACTIVATIONS = {"relu": F.relu, "leaky": F.leaky_relu, "tanh": F.tanh, "sigmoid": F.sigmoid, "gelu": F.gelu, "silu": F.silu}


class Run(NamedTuple):
    """One training: `loss(params, batch, rng)` over batches that are stacked by step."""

    params: Any
    loss: Callable
    batches: Any
    optimizer: "Optimizer"
    held_out: Any = None


@dataclasses.dataclass(frozen=True)
class Training:
    """`planted`: (kind, module), or None for a healthy one; `make` builds its `Run`."""

    name: str
    planted: tuple[str, str] | None
    make: Callable[[], Run]
    steps: int = STEPS


def train(training: Training) -> tuple[np.ndarray, list[inspect.Verdict]]:
    """The loss of every step, and the verdicts that were given at any time: it is asked after every fifth step."""
    params, loss, batches, optimizer, held_out = training.make()
    take, evaluate, start = _programs(loss, optimizer.transformation)
    state = start(params, optimizer.for_each(params))
    monitor, found = inspect.Monitor(), []
    for first in range(0, training.steps, CHUNK):
        state, metrics = take(state, jax.tree.map(lambda a: a[first : first + CHUNK], batches))
        monitor.record(metrics["health"])
        if held_out is not None:
            monitor.record_validation(evaluate(state.params, held_out, jax.random.key(6)))
        found += monitor.verdicts()
    return np.array([h.value for _, h in monitor.history]), found


@functools.cache
def _programs(loss, optimizer):
    """Compiled once for all trainings of one model."""

    def step_loss(params, batch, *, buffers, rng, train):
        return loss(params, batch, rng), (buffers, {})

    def start(params, rates):
        opt_state = optimizer.init(params)._replace(rates=rates)
        return TrainState(params=params, buffers={}, opt_state=opt_state, step=jnp.array(0), rng=jax.random.key(5))

    return run_steps(step_loss, optimizer, watch=True), jax.jit(loss), jax.jit(start)


class Optimizer(NamedTuple):
    """With learning rates that stand in its state: trainings that differ in them alone are compiled once.

    `rates`: a number, or one for each step; `but`: others for some modules.
    """

    transformation: optax.GradientTransformation
    rates: Any
    but: dict

    def for_each(self, params):
        def rate(path, leaf):
            name = leaf_name((None, *path))
            found = next((r for module, r in self.but.items() if name.startswith(module + ".")), self.rates)
            return np.broadcast_to(np.asarray(found, np.float32), STEPS)

        return jax.tree_util.tree_map_with_path(rate, params)


class _Rated(NamedTuple):
    inner: Any
    rates: Any
    step: Any


@functools.cache
def _rated(kind, **options):
    inner = kind(1.0, **options)

    def update(grads, state, params):
        updates, after = inner.update(grads, state.inner, params)
        updates = jax.tree.map(lambda u, rate: u * rate[state.step].astype(u.dtype), updates, state.rates)
        return updates, _Rated(after, state.rates, state.step + 1)

    return optax.GradientTransformation(lambda params: _Rated(inner.init(params), None, jnp.array(0)), update)


def sgd(rates, but=None, **options):
    return Optimizer(_rated(optax.sgd, **options), rates, but or {})


def adam(rates, but=None):
    return Optimizer(_rated(optax.adam), rates, but or {})


def adamw(rates, **options):
    return Optimizer(_rated(optax.adamw, **options), rates, {})


def clipped(rates):
    return Optimizer(_rated(lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rate))), rates, {})


def is_named(training: Training, found: list[inspect.Verdict]) -> bool:
    kind, module = training.planted
    return any(v.kind == kind and module in (v.module, *v.also) for v in found)


# ---- data ----


@functools.cache
def _digits():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order].astype(np.float32), labels[order].astype(np.int32)


def digits(batch=32, steps=STEPS, size=1500, shape=(64,), raw=False, labels="true", dtype=np.float32):
    """Batches of images in [0, 1] (raw: in [0, 16]) and labels, drawn from the first `size`."""
    images, right = _digits()
    rng = np.random.default_rng(1)
    right = rng.integers(0, 10, len(right), np.int32) if labels == "random" else right
    index = rng.integers(0, size, (steps, batch))
    return (images / (1 if raw else 16)).reshape(-1, *shape)[index].astype(dtype), right[index]


def unseen(shape=(64,)):
    images, labels = _digits()
    return (images[1500:] / 16).reshape(-1, *shape), labels[1500:]


def curve(batch=32, steps=STEPS, noise=0.0, scale=1.0):
    """y = sin(3 x), with noise."""
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (steps, batch, 1)).astype(np.float32)
    return x, (scale * (np.sin(3 * x) + noise * rng.standard_normal(x.shape))).astype(np.float32)


def two_clouds(batch=32, steps=STEPS, features=8, distance=2.0):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (steps, batch), np.int32)
    x = rng.standard_normal((steps, batch, features)) + distance * (2 * labels[..., None] - 1)
    return x.astype(np.float32), labels


def counting(batch=16, steps=STEPS, length=10, base=12):
    """Sequences that count by ones from a random start: the next token is to be said."""
    start = np.random.default_rng(4).integers(0, base, (steps, batch, 1))
    tokens = ((start + np.arange(length + 1)) % base).astype(np.int32)
    return tokens[..., :-1], tokens[..., 1:]


# ---- models ----


class MLP(nn.Module):
    """fc1, activation, fc2, ..., the last without; before each activation a norm if one is asked for."""

    def __init__(self, widths, activation="relu", norm=None, dropout=0.0, dtype=None):
        self.depth, self.activation, self.dropout = len(widths) - 1, ACTIVATIONS[activation], nn.Dropout(dropout)
        for i, (a, b) in enumerate(zip(widths, widths[1:]), 1):
            setattr(self, f"fc{i}", nn.Linear(a, b, dtype=dtype))
            if norm and i < self.depth:
                setattr(self, f"norm{i}", norm(b))

    def forward(self, x):
        for i in range(1, self.depth):
            x = getattr(self, f"fc{i}")(x)
            x = getattr(self, f"norm{i}")(x) if f"norm{i}" in self._modules else x
            x = self.dropout(self.activation(x))
        return getattr(self, f"fc{self.depth}")(x)


class Residual(nn.Module):
    """stem, then x + down(relu(up(x))) in each block, then head."""

    def __init__(self, blocks, width=24):
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        pair = lambda: nn.ModuleDict({"up": nn.Linear(width, width), "down": nn.Linear(width, width)})
        self.blocks = nn.ModuleList([pair() for _ in range(blocks)])

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block["down"](F.relu(block["up"](x)))
        return self.head(x)


class Block(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width):
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        q, k, v = jnp.split(self.qkv(self.norm1(x)), 3, -1)
        mask = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))
        scores = jnp.where(mask, jnp.einsum("btc,bsc->bts", q, k) / q.shape[-1] ** 0.5, -1e9)
        x = x + self.proj(jnp.einsum("bts,bsc->btc", jax.nn.softmax(scores), v))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, tokens=12, width=16, blocks=1):
        self.tokens, self.positions = nn.Embedding(tokens, width), nn.Embedding(10, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@functools.cache
def logits_loss(predict):
    """Mean cross-entropy of `predict(params, x, rng)`."""

    def loss(params, batch, rng):
        logits = predict(params, batch[0], rng).astype(jnp.float32)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), batch[1][..., None], -1).mean()

    return loss


@functools.cache
def square_loss(predict):
    return lambda params, batch, rng: jnp.mean((predict(params, batch[0], rng) - batch[1]) ** 2)


def own(model, batches, optimizer, *, gain=None, edit=None, loss=logits_loss, held_out=None):
    """A bpjax model. `gain`: weights drawn anew with gain/sqrt(inputs) as their deviation; `edit`: functions of parameters by name."""
    params, predict = _own(model)
    return Run(edited(redrawn(params, gain), edit), loss(predict), batches, optimizer, held_out)


@functools.cache
def _own(model):
    buffers = model.init_buffers()
    return jax.jit(model.init)(jax.random.key(0)), lambda params, x, rng: model.apply(params, x, buffers=buffers, train=True, rng=rng)[0]


@functools.cache
def mlp(depth, activation="relu", width=24, norm=None, dropout=0.0, dtype=None):
    return MLP((64, *[width] * (depth - 1), 10), activation, norm, dropout, dtype)


@functools.cache
def small(activation="relu", depth=2):
    return MLP((8, *[16] * (depth - 1), 2), activation)


digits_model = functools.cache(lambda name, size: MODELS[name](size))
residual = functools.cache(lambda blocks: Residual(blocks))
gpt = functools.cache(GPT)


def redrawn(params, gain):
    if gain is None:
        return params
    rng = np.random.default_rng(0)

    def draw(leaf):
        weights = rng.standard_normal(leaf.shape) * gain / (leaf.size / len(leaf)) ** 0.5 if leaf.ndim > 1 else np.zeros(leaf.shape)
        return weights.astype(leaf.dtype)

    return jax.tree.map(draw, params)


def edited(params, edit):
    left = dict(edit or {})

    def change(path, leaf):
        f = left.pop(leaf_name((None, *path)), None)
        return leaf if f is None else f(np.array(leaf))

    params = jax.tree_util.tree_map_with_path(change, params)
    assert not left, f"no such parameter: {list(left)}"
    return params


def times(factor):
    return lambda x: x * np.asarray(factor, x.dtype)


def filled(value):
    return lambda x: np.full_like(x, value)


def equinox(kind, batches, optimizer, *, edit=None, loss=logits_loss):
    params, predict = _equinox(kind)
    return Run(edited(params, edit), loss(predict), batches, optimizer)


@functools.cache
def _equinox(kind):
    params, static = eqx.partition(kind(), eqx.is_inexact_array)
    return params, lambda params, x, rng: jax.vmap(eqx.combine(params, static))(x)


def flax(kind, batches, optimizer, *, edit=None, loss=logits_loss):
    params, predict = _flax(kind)
    return Run(edited(params, edit), loss(predict), batches, optimizer)


@functools.cache
def _flax(kind):
    graph, params, rest = nnx.split(kind(), nnx.Param, ...)
    return params, lambda params, x, rng: nnx.merge(graph, params, rest, copy=True)(x)


def equinox_mlp():
    return eqx.nn.MLP(64, 10, 24, 2, key=jax.random.key(0))


class EquinoxGRU(eqx.Module):
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key=jax.random.key(0)):
        self.cell, self.head = eqx.nn.GRUCell(8, 16, key=key), eqx.nn.Linear(16, 10, key=key)

    def __call__(self, rows):
        h, _ = jax.lax.scan(lambda h, row: (self.cell(row, h), None), jnp.zeros(16), rows)
        return self.head(h)


class EquinoxCNN(eqx.Module):
    conv: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Linear

    def __init__(self, key=jax.random.key(0)):
        self.conv, self.pool = eqx.nn.Conv2d(1, 8, 3, padding=1, key=key), eqx.nn.MaxPool2d(2, 2)
        self.head = eqx.nn.Linear(128, 10, key=key)

    def __call__(self, x):
        return self.head(self.pool(jax.nn.relu(self.conv(x[None]))).ravel())


class FlaxMLP(nnx.Module):
    def __init__(self, activation=nnx.relu):
        rngs = nnx.Rngs(0)
        self.first, self.second = nnx.Linear(64, 32, rngs=rngs), nnx.Linear(32, 32, rngs=rngs)
        self.third, self.activation = nnx.Linear(32, 10, rngs=rngs), activation

    def __call__(self, x):
        return self.third(self.activation(self.second(self.activation(self.first(x)))))


class FlaxCNN(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv, self.norm = nnx.Conv(1, 8, (3, 3), rngs=rngs), nnx.BatchNorm(8, rngs=rngs)
        self.head = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x[..., None])))
        return self.head(nnx.max_pool(x, (2, 2), (2, 2)).reshape(len(x), -1))


class FlaxTransformer(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed, self.position = nnx.Embed(12, 16, rngs=rngs), nnx.Embed(10, 16, rngs=rngs)
        self.before, self.after = nnx.LayerNorm(16, rngs=rngs), nnx.LayerNorm(16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=16, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(16, 32, rngs=rngs), nnx.Linear(32, 16, rngs=rngs)
        self.head = nnx.Linear(16, 12, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens) + self.position(jnp.arange(tokens.shape[1]))
        x = x + self.attention(self.before(x), mask=nnx.make_causal_mask(tokens))
        return self.head(x + self.down(nnx.gelu(self.up(self.after(x)))))


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / shape[0] ** 0.5


def plain(sizes, scale=1.0):
    """{"a": {"w", "b"}, "b": ...}: one entry for each layer, by letters."""
    pairs = zip(sizes, sizes[1:])
    return {chr(97 + i): {"w": scale * normal(i, m, n), "b": np.zeros(n, np.float32)} for i, (m, n) in enumerate(pairs)}


def chain(activation, **special):
    """`predict` of a `plain` net; `special`: by a layer's name, what is done with its output before the activation."""
    return _chain(activation, tuple(special.items()))


@functools.cache
def _chain(activation, special):
    def predict(params, x, rng):
        for i, (name, layer) in enumerate(params.items()):
            x = x @ layer["w"] + layer["b"]
            x = dict(special).get(name, lambda x: x)(x)
            x = activation(x) if i < len(params) - 1 else x
        return x

    return predict


def plain_run(params, predict, batches, optimizer, loss=logits_loss, held_out=None):
    return Run(params, loss(predict), batches, optimizer, held_out)


def scanned(params, x, rng):
    """A plain recurrent net over the rows of an image: h' = tanh(row W_in + h W)."""

    def step(h, row):
        return jnp.tanh(row @ params["cell"]["w_in"] + h @ params["cell"]["w"] + params["cell"]["b"]), None

    h, _ = jax.lax.scan(step, jnp.zeros((len(x), 16)), x.swapaxes(0, 1))
    return h @ params["head"]["w"] + params["head"]["b"]


def recurrent(scale=1.0):
    cell = {"w_in": normal(0, 8, 16), "w": scale * normal(1, 16, 16), "b": np.zeros(16, np.float32)}
    return {"cell": cell, "head": {"w": normal(2, 16, 10), "b": np.zeros(10, np.float32)}}


def linear_recurrence(params, x, rng):
    """The same with relu in place of tanh, behind an embedding of each row."""
    rows = (x @ params["embed"]["w"]).swapaxes(0, 1)
    h, _ = jax.lax.scan(lambda h, row: (jax.nn.relu(row + h @ params["cell"]["w"]), None), jnp.zeros((len(x), 16)), rows)
    return h @ params["head"]["w"]


def linear_recurrent(scale):
    cell, head = scale * np.eye(16, dtype=np.float32), normal(0, 16, 10)
    return {"embed": {"w": np.eye(8, 16, dtype=np.float32)}, "cell": {"w": cell}, "head": {"w": head}}


def stacked_layers(params, x, rng):
    """A scan over eight layers whose parameters are stacked, checkpointed."""
    x = x @ params["stem"]["w"]
    x, _ = jax.lax.scan(jax.checkpoint(lambda x, layer: (x + jax.nn.relu(x @ layer["w"] + layer["b"]), None)), x, params["layers"])
    return x @ params["head"]["w"]


def stacked():
    weights = np.stack([normal(i, 24, 24) / 2 for i in range(8)])
    return {
        "stem": {"w": normal(8, 64, 24)},
        "layers": {"w": weights, "b": np.zeros((8, 24), np.float32)},
        "head": {"w": normal(9, 24, 10)},
    }


def bare(params, x, rng):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def bare_params():
    return {"w1": 2 * normal(0, 1, 32), "b1": np.zeros(32, np.float32), "w2": normal(1, 32, 1), "b2": np.zeros(1, np.float32)}


def bag(params, tokens, rng):
    return F.embedding(tokens, params["table"]["weight"]).mean(1) @ params["head"]["w"]


def bag_of_words():
    tokens = np.random.default_rng(7).integers(0, 50, (STEPS, 32, 6))
    params = {"table": {"weight": 2 * normal(0, 50, 8)}, "head": {"w": normal(1, 8, 2)}}
    return plain_run(params, bag, (tokens, ((tokens < 25).sum(-1) > 3).astype(np.int32)), adam(1e-2))


def least_squares(params, x, rng):
    return x @ params["fit"]["w"] + params["fit"]["b"]


def linear_data():
    x = np.random.default_rng(0).standard_normal((STEPS, 64, 4)).astype(np.float32)
    return x, x @ np.array([[1.0], [-2.0], [3.0], [0.5]], np.float32)


@functools.cache
def summed(predict):
    return lambda params, batch, rng: len(batch[1]) * logits_loss(predict)(params, batch, rng)


@functools.cache
def probabilities_loss(predict):
    """As it should not be written: the logarithm of a softmax that underflows."""

    def loss(params, batch, rng):
        p = jax.nn.softmax(predict(params, batch[0], rng))
        return -jnp.log(jnp.take_along_axis(p, batch[1][:, None], 1)).mean()

    return loss


def bits_loss(predict):
    def loss(params, batch, rng):
        z = predict(params, batch[0], rng)
        return jnp.mean(jnp.maximum(z, 0) - z * batch[0] + jnp.log1p(jnp.exp(-jnp.abs(z))))

    return loss


def tied(params, x, rng):
    return jax.nn.sigmoid(x @ params["code"]["w"]) @ params["code"]["w"].T + params["image"]["b"]


def frozen_second(params, x, rng):
    return chain(jax.nn.relu)({**params, "b": jax.lax.stop_gradient(params["b"])}, x, rng)


def unused_head(params, x, rng):
    return chain(jax.nn.tanh)({k: params[k] for k in "ab"}, x, rng)


def spoiled(batches, at):
    x, y = batches
    x[at] = np.nan
    return x, y


def repeated(batches):
    """The first batch again and again."""
    return jax.tree.map(lambda a: np.repeat(a[:1], STEPS, 0), batches)


def deep(n, width=24):
    return [64, *[width] * (n - 1), 10]


def most_off(bias):
    return np.concatenate([np.full_like(bias[:7], -20.0), bias[7:]])


def first_far_above(bias):
    return bias + 300 * np.eye(len(bias), dtype=bias.dtype)[0]


square = {"shape": (8, 8)}
zero_branches = {f"blocks.{i}.down.weight": filled(0.0) for i in range(6)}

SICK = [
    # ---- vanishing: of the whole way, then of one module ----
    ("20 sigmoid layers", "vanishing", "fc1", lambda: own(mlp(20, "sigmoid"), digits(), sgd(0.1))),
    ("12 relu layers drawn small", "vanishing", "fc1", lambda: own(mlp(12), digits(), sgd(0.01), gain=0.5)),
    ("6 layers drawn far too small", "vanishing", "fc1", lambda: own(mlp(6), digits(), sgd(0.1), gain=0.02)),
    ("4 gelu layers drawn small", "vanishing", "fc1",
     lambda: own(mlp(4, "gelu"), digits(), sgd(0.05, momentum=0.9), gain=0.1)),
    ("5 tanh layers drawn small", "vanishing", "fc1", lambda: own(mlp(5, "tanh"), digits(), sgd(0.1), gain=0.1)),
    ("one tiny layer among relu", "vanishing", "fc4",
     lambda: own(mlp(6), digits(), sgd(1e-3), gain=1.4, edit={"fc4.weight": times(1e-4)})),
    ("one tiny layer among tanh", "vanishing", "fc3",
     lambda: own(mlp(5, "tanh"), digits(), sgd(1e-3), gain=1.0, edit={"fc3.weight": times(1e-4)})),
    ("one layer's output times 1e-4", "vanishing", "b",
     lambda: plain_run(plain(deep(4)), chain(jax.nn.silu, b=lambda x: 1e-4 * x), digits(), adam(1e-3))),
    ("a tiny second convolution", "vanishing", "conv2",
     lambda: own(digits_model("cnn", 4), digits(**square), sgd(1e-3), edit={"conv2.weight": times(1e-4)})),
    ("Flax NNX, one tiny layer", "vanishing", "second",
     lambda: flax(FlaxMLP, digits(), sgd(1e-3), edit={"second.kernel.value": times(1e-4)})),
    # ---- exploding ----
    ("12 relu layers drawn large", "exploding", "fc1", lambda: own(mlp(12), digits(), sgd(1e-12), gain=4.0)),
    ("6 residual blocks drawn large", "exploding", "stem", lambda: own(residual(6), digits(), adam(1e-9), gain=4.0)),
    ("one huge layer", "exploding", "fc3", lambda: own(mlp(6), digits(), sgd(1e-12), gain=1.4, edit={"fc3.weight": times(1e4)})),
    ("Equinox, one huge layer", "exploding", "layers.1",
     lambda: equinox(equinox_mlp, digits(), sgd(1e-12), edit={"layers.1.weight": times(1e5)})),
    ("recurrent weights drawn large", "exploding", "cell",
     lambda: plain_run(linear_recurrent(5.0), linear_recurrence, digits(**square), sgd(1e-12))),
    # ---- dead ReLU ----
    ("one layer's bias at -20", "dead ReLU", "fc3",
     lambda: own(mlp(6), digits(), sgd(0.05), gain=1.4, edit={"fc3.bias": filled(-20.0)})),
    ("a convolution's bias at -20", "dead ReLU", "conv1",
     lambda: own(digits_model("cnn", 4), digits(**square), sgd(0.05), edit={"conv1.bias": filled(-20.0)})),
    ("Flax NNX, a bias at -10", "dead ReLU", "second",
     lambda: flax(FlaxMLP, digits(), sgd(0.1), edit={"second.bias.value": filled(-10.0)})),
    ("Equinox, most of a convolution dead", "dead ReLU", "conv",
     lambda: equinox(EquinoxCNN, digits(**square), sgd(0.1), edit={"conv.bias": most_off})),
    ("inputs far below zero", "dead ReLU", "fc1", lambda: own(
        digits_model("mlp", 24), (lambda x, y: (x - 20, y))(*digits()), sgd(0.01), edit={"fc1.weight": np.abs})),
    ("a learning rate that kills", "dead ReLU", "fc1", lambda: own(digits_model("mlp", 24), digits(raw=True), sgd(3.0))),
    # ---- saturated ----
    ("one layer times 100 under tanh", "saturated", "fc2",
     lambda: own(mlp(5, "tanh"), digits(), sgd(0.01), gain=1.0, edit={"fc2.weight": times(100.0)})),
    ("a bias at 30 under sigmoid", "saturated", "fc1",
     lambda: own(mlp(3, "sigmoid"), digits(), adam(1e-3), edit={"fc1.bias": filled(30.0)})),
    ("all tanh layers drawn large", "saturated", "fc1", lambda: own(mlp(5, "tanh"), digits(), adam(1e-4), gain=10.0)),
    ("raw inputs under sigmoid", "saturated", "fc1", lambda: own(mlp(3, "sigmoid"), digits(raw=True), adam(1e-3), gain=1.5)),
    ("recurrent weights times 20 under tanh", "saturated", "cell",
     lambda: plain_run(recurrent(20.0), scanned, digits(**square), adam(1e-4))),
    # ---- updates ----
    ("a learning rate of 1e-8", "update too small", "fc1", lambda: own(mlp(6), digits(), sgd(1e-8))),
    ("Flax NNX, SGD at 1e-8", "update too small", "first", lambda: flax(FlaxMLP, digits(), sgd(1e-8))),
    ("one layer's learning rate too low", "update too small", "fc4",
     lambda: own(mlp(6), digits(), sgd(0.05, {"fc4": 1e-7}), gain=1.4)),
    ("Adam at 1", "update too large", "fc1", lambda: own(mlp(5, "tanh"), digits(), adam(1.0))),
    ("a transformer under Adam at 0.5", "update too large", "blocks.0.norm1", lambda: own(gpt(), counting(), adam(0.5))),
    ("a residual net under Adam at 1", "update too large", "stem", lambda: own(residual(6), digits(), adam(1.0))),
    ("one layer's learning rate too high", "update too large", "fc3",
     lambda: own(mlp(5, "tanh"), digits(), adam(1e-3, {"fc3": 0.3}), gain=1.0)),
    ("SGD with the wrong sign", UPHILL, "fc1", lambda: own(mlp(3), digits(), sgd(-0.02), gain=1.4)),
    ("momentum with the wrong sign", UPHILL, "fc2", lambda: own(mlp(4, "gelu"), digits(), sgd(-0.001, momentum=0.9), gain=1.4)),
    ("Adam with the wrong sign in one layer", UPHILL, "fc3",
     lambda: own(mlp(5, "tanh"), digits(), adam(1e-3, {"fc3": -1e-3}), gain=1.0)),
    ("a learning rate that turns negative", UPHILL, "first",
     lambda: flax(FlaxMLP, digits(), sgd(np.where(np.arange(STEPS) < 15, 0.05, -0.05)))),
    ("Adam at a rate that grows", "diverging", "", lambda: own(mlp(5, "tanh"), digits(), adam(np.geomspace(1e-3, 3, STEPS)), gain=1.0)),
    # ---- unchanged ----
    ("stop_gradient on one layer's parameters", "unchanged tensor", "b",
     lambda: plain_run(plain(deep(3)), frozen_second, digits(), adam(1e-3))),
    ("stop_gradient behind a layer", "unchanged tensor", "a",
     lambda: plain_run(plain(deep(3)), chain(jax.nn.silu, b=jax.lax.stop_gradient), digits(), adam(1e-3))),
    ("one layer frozen by its optimizer", "unchanged tensor", "layers.1",
     lambda: equinox(equinox_mlp, digits(), sgd(0.3, {"layers.1": 0.0}))),
    ("a head that the loss does not reach", "unchanged tensor", "second_head",
     lambda: plain_run(plain(deep(2)) | {"second_head": plain([24, 4])["a"]}, unused_head, digits(), sgd(0.1))),
    # ---- noisy gradient: over the whole net; the last module is named ----
    ("one random label at a time", "noisy gradient", "fc2",
     lambda: own(digits_model("mlp", 24), digits(1, labels="random"), sgd(0.3))),
    ("targets that are mostly noise", "noisy gradient", "b",
     lambda: plain_run(plain([1, 32, 1]), chain(jnp.tanh), curve(2, noise=5.0), sgd(0.01), square_loss)),
    ("two classes that cannot be told apart", "noisy gradient", "fc2", lambda: own(small(), two_clouds(1, distance=0.0), sgd(0.3))),
    # ---- overfitting ----
    ("20 digits learnt by heart", "overfitting", "", lambda: own(mlp(3, width=48), digits(20, size=20), adam(1e-2), held_out=unseen())),
    ("random labels learnt by heart", "overfitting", "",
     lambda: own(mlp(3, width=48), digits(20, size=40, labels="random"), adam(1e-2), held_out=unseen())),
    ("eight noisy points learnt by heart", "overfitting", "", lambda: plain_run(
        plain([1, 64, 1], 6.0), chain(jnp.tanh), repeated(curve(8, noise=1.0)), adam(1e-2), square_loss,
        held_out=jax.tree.map(lambda a: a[0], curve(256)))),
    # ---- non-finite ----
    ("the logarithm of a negative number in one layer", "non-finite", "b",
     lambda: plain_run(plain(deep(3)), chain(jax.nn.relu, b=jnp.log), digits(), sgd(0.1))),
    ("the root of zero in one layer, backward only", "non-finite", "b",
     lambda: plain_run(plain(deep(3)), chain(jnp.tanh, b=lambda x: x + jnp.sqrt(x - x)), digits(), sgd(0.1))),
    ("a NaN in one parameter", "non-finite", "fc4",
     lambda: own(mlp(6), digits(), sgd(0.1), edit={"fc4.weight": lambda w: np.where(np.eye(*w.shape), np.nan, w).astype(w.dtype)})),
    ("a NaN in the data", "non-finite", "the input", lambda: flax(FlaxMLP, spoiled(digits(), at=7), sgd(0.1))),
    ("a loss of probabilities", "non-finite", "the loss", lambda: equinox(
        equinox_mlp, digits(), sgd(0.1), edit={"layers.2.bias": first_far_above}, loss=probabilities_loss)),
]  # fmt: skip

HEALTHY = [
    # ---- models, optimizers, batches ----
    ("the digits' mlp", lambda: own(digits_model("mlp", 24), digits(), sgd(0.2))),
    ("the digits' cnn", lambda: own(digits_model("cnn", 4), digits(**square), sgd(0.2))),
    ("the digits' rnn", lambda: own(digits_model("rnn", 24), digits(**square), adam(3e-3))),
    ("single examples of two classes that overlap", lambda: own(small(), two_clouds(1, distance=0.6), sgd(0.05))),
    ("raw images", lambda: own(mlp(3), digits(raw=True), adam(1e-3))),
    # ---- depth ----
    ("momentum", lambda: own(mlp(4, "gelu"), digits(), sgd(0.05, momentum=0.9), gain=1.4)),
    ("AdamW with decay, batches of 128", lambda: own(mlp(4, "leaky"), digits(128), adamw(3e-3, weight_decay=0.1), gain=1.4)),
    ("6 relu layers", lambda: own(mlp(6), digits(), sgd(0.05), gain=1.4)),
    ("12 relu layers", lambda: own(mlp(12), digits(), sgd(0.02), gain=1.4)),
    ("20 relu layers", lambda: own(mlp(20, width=32), digits(), adam(1e-3), gain=1.4)),
    ("3 sigmoid layers", lambda: own(mlp(3, "sigmoid"), digits(), adam(1e-2))),
    ("silu and LayerNorm", lambda: own(mlp(4, "silu", norm=nn.LayerNorm), digits(), adam(2e-3))),
    ("biases before BatchNorm under Adam", lambda: own(mlp(4, norm=nn.BatchNorm1d), digits(), adam(3e-3))),
    ("6 residual blocks", lambda: own(residual(6), digits(), adam(1e-3))),
    ("residual branches that start at zero", lambda: own(residual(6), digits(), adam(1e-3), gain=1.0, edit=zero_branches)),
    ("a last layer that starts at zero", lambda: own(mlp(6), digits(), sgd(0.1), gain=1.4, edit={"fc6.weight": filled(0.0)})),
    ("a last layer that starts at zero, slowly", lambda: own(mlp(6), digits(), sgd(0.02), gain=1.4, edit={"fc6.weight": filled(0.0)})),
    ("a last layer that starts at zero, under Adam",
     lambda: own(mlp(5, "tanh"), digits(), adam(1e-3), gain=1.0, edit={"fc5.weight": filled(0.0)})),
    ("dropout of a half", lambda: own(mlp(3, width=48, dropout=0.5), digits(), adam(3e-3))),
    ("bfloat16 parameters under Adam", lambda: own(mlp(3, dtype=jnp.bfloat16), digits(dtype=jnp.bfloat16), adam(3e-3), gain=1.4)),
    # ---- sequences ----
    ("a small GPT", lambda: own(gpt(), counting(), adam(3e-3))),
    ("a plain recurrent net", lambda: plain_run(recurrent(), scanned, digits(**square), adam(3e-3))),
    ("a bag of words", bag_of_words),
    ("Equinox, a GRU", lambda: equinox(EquinoxGRU, digits(**square), adam(1e-2))),
    ("Flax NNX, a transformer block", lambda: flax(FlaxTransformer, counting(), adam(3e-3))),
    # ---- other frameworks, plain dicts ----
    ("Equinox, a perceptron", lambda: equinox(equinox_mlp, digits(), sgd(0.3))),
    ("Equinox, a convolution", lambda: equinox(EquinoxCNN, digits(**square), sgd(0.1))),
    ("Flax NNX, a perceptron", lambda: flax(FlaxMLP, digits(), adam(1e-3))),
    ("Flax NNX, a convolution with BatchNorm", lambda: flax(FlaxCNN, digits(**square), sgd(0.1))),
    ("a bare dict of weights and biases", lambda: plain_run(bare_params(), bare, curve(), adam(1e-2), square_loss)),
    ("eight layers in one scan, checkpointed", lambda: plain_run(stacked(), stacked_layers, digits(), adam(1e-3))),
    # ---- tricky ----
    ("a loss that sums", lambda: own(digits_model("mlp", 24), digits(), sgd(6e-3), loss=summed)),
    ("warm-up from zero",
     lambda: own(mlp(3), digits(), adam(np.minimum(np.arange(STEPS) / 20, 1) * 1e-2), gain=1.4)),
    ("cosine decay to zero", lambda: own(mlp(3), digits(), adam((1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) * 5e-3))),
    ("a plateau at the start", lambda: own(small("tanh", 4), two_clouds(), sgd(0.3), gain=0.35)),
    ("a loss that nears zero", lambda: own(small("tanh", 4), two_clouds(), sgd(0.3), gain=1.0)),
    ("a loss that nears zero by single examples", lambda: own(small(), two_clouds(1), sgd(0.1))),
    ("least squares to the last digit", lambda: plain_run(
        {"fit": {"w": np.zeros((4, 1), np.float32), "b": np.zeros(1, np.float32)}}, least_squares, linear_data(), sgd(0.3), square_loss)),
    ("a small learning rate that is still fine", lambda: own(mlp(6), repeated(digits()), sgd(1e-3), gain=1.4)),
    ("Adam at 1e-5", lambda: own(mlp(5, "tanh"), repeated(digits()), adam(1e-5), gain=1.4)),
    ("large targets, clipped gradients", lambda: plain_run(
        plain([1, 32, 32, 1]), chain(jax.nn.leaky_relu), curve(scale=100.0), clipped(0.1), square_loss)),
    ("an autoencoder with tied weights", lambda: plain_run(
        {"code": {"w": normal(0, 64, 24)}, "image": {"b": np.zeros(64, np.float32)}}, tied, digits(), adam(1e-2), bits_loss)),
    ("noisy targets", lambda: plain_run(plain([1, 64, 1], 2.0), chain(jnp.tanh), curve(8, noise=0.5), adam(1e-2), square_loss)),
    ("validation that falls too", lambda: own(mlp(3, width=48), digits(20), adam(3e-3), held_out=unseen())),
]  # fmt: skip

TRAININGS = [Training(name, (kind, module), make) for name, kind, module, make in SICK] + [
    Training(name, None, make) for name, make in HEALTHY
]
