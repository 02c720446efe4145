"""The models of benchmarks/workloads.py in Equinox (https://docs.kidger.site/equinox/), with the parameters of bpjax."""

import functools
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from bpjax.interop import state_dict

gelu = functools.partial(jax.nn.gelu, approximate=False)
Conv = functools.partial(eqx.nn.Conv2d, use_bias=False)
BatchNorm = functools.partial(eqx.nn.BatchNorm, axis_name="batch", mode="batch")  # its default normalizes by running averages


class XOR(eqx.Module):
    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __init__(self, key):
        self.hidden, self.output = eqx.nn.Linear(2, 4, key=key), eqx.nn.Linear(4, 1, key=key)

    def __call__(self, x):
        return jax.nn.sigmoid(self.output(jax.nn.sigmoid(self.hidden(x))))


class CNN(eqx.Module):
    convs: list[eqx.nn.Conv2d]
    norms: list[eqx.nn.BatchNorm]
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Linear

    def __init__(self, width, key):
        widths = [3, width, 2 * width, 4 * width]
        self.convs = [Conv(a, b, 3, padding=1, key=key) for a, b in zip(widths, widths[1:])]
        self.norms = [BatchNorm(b) for b in widths[1:]]
        self.pool, self.head = eqx.nn.MaxPool2d(2, 2), eqx.nn.Linear(4 * width * 16, 10, key=key)

    def __call__(self, x, state):
        for conv, norm in zip(self.convs, self.norms):
            x, state = norm(conv(x), state)
            x = self.pool(jax.nn.relu(x))
        return self.head(jnp.ravel(x)), state


class BasicBlock(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    conv2: eqx.nn.Conv2d
    bn2: eqx.nn.BatchNorm
    conv3: eqx.nn.Conv2d | None
    bn3: eqx.nn.BatchNorm | None

    def __init__(self, inputs, outputs, stride, key):
        self.conv1, self.bn1 = Conv(inputs, outputs, 3, stride, padding=1, key=key), BatchNorm(outputs)
        self.conv2, self.bn2 = Conv(outputs, outputs, 3, padding=1, key=key), BatchNorm(outputs)
        projects = stride != 1 or inputs != outputs
        self.conv3, self.bn3 = (Conv(inputs, outputs, 1, stride, key=key), BatchNorm(outputs)) if projects else (None, None)

    def __call__(self, x, state):
        y, state = self.bn1(self.conv1(x), state)
        y, state = self.bn2(self.conv2(jax.nn.relu(y)), state)
        if self.conv3 is not None:
            x, state = self.bn3(self.conv3(x), state)
        return jax.nn.relu(y + x), state


class ResNet18(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    blocks: list[BasicBlock]
    head: eqx.nn.Linear

    def __init__(self, key):
        self.conv1, self.bn1 = Conv(3, 64, 3, padding=1, key=key), BatchNorm(64)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = [BasicBlock(a, b, 1 if a == b else 2, key) for a, b in zip(widths, widths[1:])]
        self.head = eqx.nn.Linear(512, 10, key=key)

    def __call__(self, x, state):
        x, state = self.bn1(self.conv1(x), state)
        x = jax.nn.relu(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.head(x.mean((1, 2))), state


class Depthwise(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    conv2: eqx.nn.Conv2d
    bn2: eqx.nn.BatchNorm
    conv3: eqx.nn.Conv2d
    bn3: eqx.nn.BatchNorm

    def __init__(self, channels, factor, key):
        wide = factor * channels
        self.conv1, self.bn1 = Conv(channels, wide, 1, key=key), BatchNorm(wide)
        self.conv2, self.bn2 = Conv(wide, wide, 3, padding=1, groups=wide, key=key), BatchNorm(wide)
        self.conv3, self.bn3 = Conv(wide, channels, 1, key=key), BatchNorm(channels)

    def __call__(self, x, state):
        y, state = self.bn1(self.conv1(x), state)
        y, state = self.bn2(self.conv2(jax.nn.relu6(y)), state)
        y, state = self.bn3(self.conv3(jax.nn.relu6(y)), state)
        return x + y, state


class LanguageLSTM(eqx.Module):
    token: eqx.nn.Embedding
    cells: list[eqx.nn.LSTMCell]
    head: eqx.nn.Linear

    def __init__(self, vocabulary, width, layers, key):
        self.token = eqx.nn.Embedding(vocabulary, width, key=key)
        self.cells = [eqx.nn.LSTMCell(width, width, key=key) for _ in range(layers)]
        self.head = eqx.nn.Linear(width, vocabulary, key=key)

    def __call__(self, tokens):
        x = jax.vmap(self.token)(tokens)
        for cell in self.cells:

            def step(state, x):
                h, c = cell(x, state)
                return (h, c), h

            zeros = jnp.zeros(cell.hidden_size, x.dtype)
            _, x = jax.lax.scan(step, (zeros, zeros), x)
        return jax.vmap(self.head)(x)


class Block(eqx.Module):
    norm1: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    norm2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, width, heads, key):
        self.norm1, self.norm2 = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        biases = {f"use_{name}_bias": True for name in ("query", "key", "value", "output")}
        self.attention = eqx.nn.MultiheadAttention(heads, width, **biases, key=key)
        self.up, self.down = eqx.nn.Linear(width, 4 * width, key=key), eqx.nn.Linear(4 * width, width, key=key)

    def __call__(self, x, *, key=None):
        y = jax.vmap(self.norm1)(x)
        x = x + self.attention(y, y, y, mask=jnp.tril(jnp.ones((len(x), len(x)), bool)))
        return x + jax.vmap(self.down)(gelu(jax.vmap(self.up)(jax.vmap(self.norm2)(x))))


class Repeated(eqx.Module):
    """Blocks with stacked parameters, scanned (https://docs.kidger.site/equinox/tricks/)."""

    block: Block

    def __init__(self, width, heads, layers, key):
        self.block = eqx.filter_vmap(lambda key: Block(width, heads, key))(jax.random.split(key, layers))

    def __call__(self, x):
        stacked, static = eqx.partition(self.block, eqx.is_array)
        return jax.lax.scan(lambda x, arrays: (eqx.combine(arrays, static)(x), None), x, stacked)[0]


class GPT(eqx.Module):
    token: eqx.nn.Embedding
    position: eqx.nn.Embedding
    blocks: eqx.nn.Sequential | Repeated
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, vocabulary, length, width, heads, layers, repeat, key):
        self.token, self.position = eqx.nn.Embedding(vocabulary, width, key=key), eqx.nn.Embedding(length, width, key=key)
        if repeat:
            self.blocks = Repeated(width, heads, layers, key)
        else:
            self.blocks = eqx.nn.Sequential([Block(width, heads, key) for _ in range(layers)])
        self.norm, self.head = eqx.nn.LayerNorm(width), eqx.nn.Linear(width, vocabulary, key=key)

    def __call__(self, tokens):
        x = self.blocks(jax.vmap(self.token)(tokens) + jax.vmap(self.position)(jnp.arange(len(tokens))))
        return jax.vmap(self.head)(jax.vmap(self.norm)(x))


def mlp(activation, layers, width, batch, key):
    return eqx.nn.MLP(784, 10, width, layers - 1, {"relu": jax.nn.relu, "gelu": gelu}[activation], key=key)


MODELS = {
    "xor": XOR,
    "mlp": mlp,
    "cnn": lambda width, batch, key: CNN(width, key),
    "resnet18": lambda batch, key: ResNet18(key),
    "depthwise": lambda channels, factor, batch, key: Depthwise(channels, factor, key),
    "lstm": lambda vocabulary, width, layers, batch, length, key: LanguageLSTM(vocabulary, width, layers, key),
    "gpt": lambda batch, **sizes: GPT(**sizes),
}
STATEFUL = {"cnn", "resnet18", "depthwise"}
CRITERIA = {
    "xor": lambda outputs, targets: optax.l2_loss(outputs, targets).sum(),
    "depthwise": lambda outputs, targets: optax.squared_error(outputs, targets).mean(),
}


def cross_entropy(logits, labels):
    """Mean over all labels, from full logits."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def from_bpjax(kind, name, p):
    """A parameter of the model here from all those of bpjax, by their names."""
    name = name.replace("blocks.layers", "blocks")
    *path, last = name.split(".")
    if kind == "xor":
        weight = {"hidden": "weights_input_hidden", "output": "weights_hidden_output"}[path[0]]
        return p[weight].T if last == "weight" else p[f"bias_{path[0]}"][0]
    if path[0] == "cells":
        own = lambda name: p[f"lstm.{name}_l{path[1]}"]
        return own("bias_ih") + own("bias_hh") if last == "bias" else own(last)
    if "attention" in path:
        *block, _, part = path
        if part == "output_proj":
            return p[".".join([*block, "out", last])]
        thirds = jnp.split(p[".".join([*block, "qkv", last])], 3, axis=-2 if last == "weight" else -1)
        return thirds[("query_proj", "key_proj", "value_proj").index(part)]
    return p[name]


def opponent(workload, problem):
    """`(loss, params, named)`: a loss of parameters and the data of `problem`, those parameters, their gradients by bpjax's names."""
    sizes = inspect.signature(workload.make).bind(**workload.sizes)
    sizes.apply_defaults()
    model, state = eqx.nn.make_with_state(MODELS[workload.kind])(**sizes.arguments, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    criterion = CRITERIA.get(workload.kind, cross_entropy)

    def convert(theirs):
        p = state_dict(theirs)
        name = functools.partial(jax.tree_util.keystr, simple=True, separator=".")
        return jax.tree.map_with_path(lambda path, _: from_bpjax(workload.kind, name(path), p), params)

    def loss(params, x, targets=None):
        if targets is None:
            x, targets = x[:, :-1], x[:, 1:]
        model = eqx.combine(params, static)
        if workload.kind in STATEFUL:
            outputs, _ = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)
        else:
            outputs = jax.vmap(model)(x)
        return criterion(outputs, targets)

    def named(grads):
        (theirs,) = jax.linear_transpose(convert, problem.params)(grads)
        return {name: np.asarray(value, np.float64) for name, value in state_dict(theirs).items()}

    return loss, convert(problem.params), named
