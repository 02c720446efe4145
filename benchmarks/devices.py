"""Several devices: what a step takes on each of them, by hand and by `jax.grad`: temporary bytes, and what the devices send each other.

`scripts/benchmark --devices` has eight devices of a CPU; how many there are is fixed when JAX wakes.
"""

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.inspect.compiled import COLLECTIVES, work
from bpjax.models.gpt import GPT, language_loss

P = PartitionSpec
DEVICES = 8


class Model(NamedTuple):
    """A loss that is a mean over the examples: the first axis of each array of data."""

    loss: Callable  # of (params, *data)
    params: Any
    data: tuple
    plain: Callable | None = None  # the same as users of JAX write it


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


# -- models: small enough to be compiled in seconds, large enough for their arrays to count --------------------------------


def mlp(batch=4096, width=64):
    layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
    loss = lambda params, x, y: ((layers.apply(params, x) - y) ** 2).mean()
    return Model(loss, layers.init(jax.random.key(0)), (normal(1, batch, width), normal(2, batch, width)))


def loss_of_words(batch=2048, width=64, vocabulary=8192):
    words = jax.random.randint(jax.random.key(2), (batch,), 0, vocabulary)

    def plain(params, x, words):
        return -jnp.take_along_axis(jax.nn.log_softmax(x @ params["W"].T + params["b"]), words[:, None], 1).mean()

    loss = lambda params, x, words: F.linear_cross_entropy(x, params["W"], words, linear_bias=params["b"])
    params = {"W": normal(0, vocabulary, width) / 8, "b": normal(3, vocabulary) / 8}
    return Model(loss, params, (normal(1, batch, width), words), plain)


def losses_of_words(**sizes):
    """Without reduction."""
    model = loss_of_words(**sizes)

    def loss(params, x, words):
        return (F.linear_cross_entropy(x, params["W"], words, linear_bias=params["b"], reduction="none") ** 2).mean()

    return model._replace(loss=loss, plain=None)


def attention(batch=16, length=512, heads=8, width=16):
    names = ("q", "k", "v")
    params = {n: normal(i, heads, width, width) / 4 for i, n in enumerate(names)}

    def loss(params, x):
        q, k, v = (jnp.einsum("nhte,hef->nhtf", x, params[n]) for n in names)
        return (F.scaled_dot_product_attention(q, k, v, is_causal=True) ** 2).mean()

    return Model(loss, params, (normal(5, batch, heads, length, width),))


def multi_head_attention(batch=16, length=256, width=64, heads=8):
    layer = nn.MultiheadAttention(width, heads, batch_first=True)
    loss = lambda params, x: (layer.apply(params, x, x, x, need_weights=False)[0] ** 2).mean()
    return Model(loss, layer.init(jax.random.key(0)), (normal(1, batch, length, width),))


def norm(kind, batch=4096, width=64):
    """Between two linear maps, as it stands in networks."""
    layer = getattr(nn, kind)(width)
    before, after, buffers = nn.Linear(width, width), nn.Linear(width, width), layer.init_buffers()
    params = {n: m.init(jax.random.key(i)) for i, (n, m) in enumerate({"before": before, "norm": layer, "after": after}.items())}

    def loss(params, x, y):
        x = before.apply(params["before"], x)
        x = layer.apply(params["norm"], x, buffers=buffers, train=True)[0] if buffers else layer.apply(params["norm"], x)
        return ((after.apply(params["after"], F.relu(x)) - y) ** 2).mean()

    return Model(loss, params, (normal(1, batch, width), normal(2, batch, width)))


def conv_net(batch=32, width=8):
    from .workloads import CNN

    model = CNN(width)

    def loss(params, images, labels):
        logits, _ = model.apply(params, images, buffers=model.init_buffers(), train=True)
        return F.cross_entropy(logits, labels)

    return Model(loss, model.init(jax.random.key(0)), (normal(1, batch, 3, 32, 32), jnp.arange(batch) % 10))


def embedding(batch=64, length=64, vocabulary=4096, width=64):
    words = jax.random.randint(jax.random.key(2), (batch, length), 0, vocabulary)
    loss = lambda params, words, y: ((F.embedding(words, params["W"]) - y) ** 2).mean()
    return Model(loss, {"W": normal(0, vocabulary, width)}, (words, normal(1, batch, length, width)))


def gpt(batch=16, length=128, vocabulary=2048, width=64, heads=8, layers=2):
    model = GPT(vocabulary, length, width, heads, layers)
    of_batch = language_loss(model)
    loss = lambda params, tokens: of_batch(params, tokens, buffers={}, rng=None, train=True)[0]
    return Model(loss, model.init(jax.random.key(0)), (jax.random.randint(jax.random.key(1), (batch, length + 1), 0, vocabulary),))


MODELS = {
    "linear_cross_entropy": loss_of_words,
    "linear_cross_entropy, not reduced": losses_of_words,
    "attention": attention,
    "MultiheadAttention": multi_head_attention,
    "LayerNorm": functools.partial(norm, "LayerNorm"),
    "RMSNorm": functools.partial(norm, "RMSNorm"),
    "BatchNorm1d": functools.partial(norm, "BatchNorm1d"),
    "Embedding": embedding,
    "MLP": mlp,
    "convolutions": conv_net,
    "GPT": gpt,
}


# -- layouts: how parameters and data lie on the devices ---------------------------------------------------------------------


def replicated(path, a):
    return P()


def by_first_axis(path, a):
    return P("model")


def columns_then_rows(path, a):
    """Of the first of two linear maps each device has some outputs, of the second some inputs."""
    return {".0.weight": P("model"), ".0.bias": P("model"), ".2.weight": P(None, "model")}.get(path, P())


def of_gpt(path, a):
    """As Megatron-LM lays them out; W of the head and of the tokens by words."""
    if path in (".token.weight", ".head.weight", ".head.bias") or ".up." in path or ".qkv." in path:
        return P("model")
    return P(None, "model") if path.endswith((".down.weight", ".out.weight")) else P()


class Layout(NamedTuple):
    """`split`: the axis of the mesh along which examples are split; None where each device has all."""

    how: str  # jit, shard_map, shard_map unchecked, explicit, pmap
    shape: dict
    split: str | None
    specs: Callable = replicated  # of a parameter's path and itself

    def mesh(self):
        kind = AxisType.Explicit if self.how == "explicit" else AxisType.Auto
        return jax.make_mesh(tuple(self.shape.values()), tuple(self.shape), axis_types=(kind,) * len(self.shape))


DATA, MODEL, GRID = {"data": DEVICES}, {"model": DEVICES}, {"data": DEVICES // 2, "model": 2}
LOCAL = ["linear_cross_entropy", "attention", "LayerNorm", "Embedding", "MLP", "GPT"]
ROWS = {
    **{f"jit, split data: {name}": (name, Layout("jit", DATA, "data")) for name in MODELS},
    "jit, split weights: MLP by columns, then rows": ("MLP", Layout("jit", MODEL, None, columns_then_rows)),
    "jit, split weights: attention by heads": ("attention", Layout("jit", MODEL, None, by_first_axis)),
    "jit, split weights: linear_cross_entropy by words": ("linear_cross_entropy", Layout("jit", MODEL, None, by_first_axis)),
    "jit, split weights: Embedding by words": ("Embedding", Layout("jit", MODEL, None, by_first_axis)),
    "jit, split weights: GPT": ("GPT", Layout("jit", MODEL, None, of_gpt)),
    "jit, split data and weights: linear_cross_entropy": ("linear_cross_entropy", Layout("jit", GRID, "data", by_first_axis)),
    "jit, split data and weights: GPT": ("GPT", Layout("jit", GRID, "data", of_gpt)),
    **{f"shard_map: {name}": (name, Layout("shard_map", DATA, "data")) for name in LOCAL},
    **{f"shard_map, unchecked: {name}": (name, Layout("shard_map unchecked", DATA, "data")) for name in LOCAL},
    **{f"explicit mesh: {name}": (name, Layout("explicit", DATA, "data")) for name in MODELS},
    **{f"pmap: {name}": (name, Layout("pmap", DATA, "data")) for name in LOCAL},
}


class Compiled(NamedTuple):
    bytes: int  # temporary, of each device
    counts: dict  # how often each device takes part in each kind, loops counted by their steps
    sent: dict  # and the bytes of its results
    gradients: Any


def compiled(value_and_grad, model: Model, layout: Layout) -> Compiled:
    """The value and the gradient, compiled for eight devices and run."""
    mesh = layout.mesh()
    names = iter(_paths(model.params))
    specs = jax.tree.map(lambda a: layout.specs(next(names), a), model.params)
    place = lambda arrays, specs: jax.tree.map(lambda a, spec: jax.device_put(a, NamedSharding(mesh, spec)), arrays, specs)
    data_specs = tuple(P(layout.split) if layout.split else P() for _ in model.data)
    with jax.set_mesh(mesh) if layout.how == "explicit" else contextlib.nullcontext():
        if layout.how == "pmap":
            on_each = lambda *args: lax.pmean(value_and_grad(model.loss)(*args), "data")
            step = jax.pmap(on_each, "data", in_axes=(None, *[0] * len(model.data)), out_axes=None)
            args = model.params, *(a.reshape(DEVICES, -1, *a.shape[1:]) for a in model.data)
        else:
            loss, options = model.loss, {}
            if layout.how.startswith("shard_map"):
                mean = lambda *args: lax.pmean(model.loss(*args), "data")
                loss = jax.shard_map(mean, mesh=mesh, in_specs=(P(), *data_specs), out_specs=P(), check_vma=layout.how == "shard_map")
            if layout.how != "explicit":
                lie = lambda specs: jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
                options = {"out_shardings": (lie(P()), lie(specs))}
            step = jax.jit(value_and_grad(loss), **options)
            args = place(model.params, specs), *map(place, model.data, data_specs)
        program = step.lower(*args).compile()
        of_one_run = work(program.as_text())
        gradients = jax.tree.map(np.asarray, program(*args)[1])
    return Compiled(program.memory_analysis().temp_size_in_bytes, of_one_run.collectives, of_one_run.sent, gradients)


def _paths(tree):
    return ["".join(f".{k.key}" for k in path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


# -- the table ------------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    name: str
    hand: Compiled
    auto: Compiled
    error: float  # of the written gradient, relative to that on one device: the largest of any parameter
    error_of_auto: float

    def ratio(self, of: str) -> float:
        """Hand over automatic of "bytes", "sent", or how often a kind is run. 0 of 0 is 0, and more than none is infinite."""
        hand, auto = (
            c.bytes if of == "bytes" else sum(c.sent.values()) if of == "sent" else c.counts.get(of, 0) for c in (self.hand, self.auto)
        )
        return hand / auto if auto else math.inf if hand else 0.0


def measured(name: str, model: Model | None = None) -> list[Row]:
    """The row of this name; two where users of JAX write the loss otherwise."""
    of, layout = ROWS[name]
    model = model or MODELS[of]()
    alone = jax.tree.map(np.asarray, jax.jit(jax.grad(model.loss))(model.params, *model.data))
    hand, auto = (compiled(v, model, layout) for v in (bpjax.value_and_grad, jax.value_and_grad))
    rows = [Row(name, hand, auto, _difference(hand.gradients, alone), _difference(auto.gradients, alone))]
    if model.plain and layout.how == "jit":
        plain = compiled(jax.value_and_grad, model._replace(loss=model.plain), layout)
        rows.append(Row(f"{name}, in jnp", hand, plain, rows[0].error, _difference(plain.gradients, alone)))
    return rows


def _difference(gradients, alone):
    """In L2, relative to a parameter's gradient, or to a hundredth of the largest where it is less: that of a bias before a norm is 0."""
    largest = max(float(np.linalg.norm(b)) for b in jax.tree.leaves(alone))
    pairs = zip(jax.tree.leaves(gradients), jax.tree.leaves(alone), strict=True)
    return max(float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-2 * largest) for a, b in pairs)


HEAD = f"{'hand / jax.grad':58} {'bytes':>25} {'gathers':>9} {'reduces':>9} {'others':>9} {'kB sent':>15} {'error':>8}"


def line(row: Row) -> str:
    def count(c, *kinds):
        return sum(c.counts.get(k, 0) for k in kinds)

    pairs = [f"{count(row.hand, *k)}/{count(row.auto, *k)}" for k in (COLLECTIVES[:1], COLLECTIVES[1:2], COLLECTIVES[2:])]
    kb = [f"{sum(c.sent.values()) / 1e3:.0f}" for c in (row.hand, row.auto)]
    size = f"{row.hand.bytes:,}/{row.auto.bytes:,}"
    return (
        f"{row.name:58} {size:>19} {row.ratio('bytes'):5.2f} {pairs[0]:>9} {pairs[1]:>9} {pairs[2]:>9} {'/'.join(kb):>15} {row.error:8.1e}"
    )


def report(only: str = "") -> int:
    """Prints the table; the exit status, which is 1 where a ratio is above 1."""
    print(HEAD, flush=True)
    is_above = False
    for name in ROWS:
        if only in name:
            for row in measured(name):
                is_above |= any(row.ratio(of) > 1 for of in ("bytes", "all-gather", "all-reduce"))
                print(line(row), flush=True)
    return int(is_above)
