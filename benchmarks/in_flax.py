"""The models of benchmarks/workloads.py in Flax NNX (https://flax.readthedocs.io/), with the parameters of bpjax. Images are NHWC."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from bpjax.interop import state_dict

gelu = functools.partial(nnx.gelu, approximate=False)
Conv = functools.partial(nnx.Conv, use_bias=False, padding=1)
LayerNorm = functools.partial(nnx.LayerNorm, epsilon=1e-5)
BatchNorm = functools.partial(nnx.BatchNorm, use_running_average=False)
Embed = functools.partial(nnx.Embed, param_dtype=float)  # it casts to the dtype it is made with: here float64 where that is on


class XOR(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.output = nnx.Linear(2, 4, rngs=rngs), nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return nnx.sigmoid(self.output(nnx.sigmoid(self.hidden(x))))


class MLP(nnx.Module):
    def __init__(self, activation, layers, width, rngs):
        widths = [784, *[width] * (layers - 1), 10]
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in zip(widths, widths[1:])])
        self.activation = {"relu": nnx.relu, "gelu": gelu}[activation]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class CNN(nnx.Module):
    def __init__(self, width, rngs):
        widths = [3, width, 2 * width, 4 * width]
        self.convs = nnx.List([Conv(a, b, (3, 3), rngs=rngs) for a, b in zip(widths, widths[1:])])
        self.norms = nnx.List([BatchNorm(b, rngs=rngs) for b in widths[1:]])
        self.head = nnx.Linear(4 * width * 16, 10, rngs=rngs)

    def __call__(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = nnx.max_pool(nnx.relu(norm(conv(x))), (2, 2), strides=(2, 2))
        return self.head(x.reshape(x.shape[0], -1))


class BasicBlock(nnx.Module):
    def __init__(self, inputs, outputs, stride, rngs):
        self.conv1, self.bn1 = Conv(inputs, outputs, (3, 3), stride, rngs=rngs), BatchNorm(outputs, rngs=rngs)
        self.conv2, self.bn2 = Conv(outputs, outputs, (3, 3), rngs=rngs), BatchNorm(outputs, rngs=rngs)
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.conv3, self.bn3 = Conv(inputs, outputs, (1, 1), stride, padding=0, rngs=rngs), BatchNorm(outputs, rngs=rngs)

    def __call__(self, x):
        y = self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))
        return nnx.relu(y + (self.bn3(self.conv3(x)) if self.projects else x))


class ResNet18(nnx.Module):
    def __init__(self, rngs):
        self.conv1, self.bn1 = Conv(3, 64, (3, 3), rngs=rngs), BatchNorm(64, rngs=rngs)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = nnx.List([BasicBlock(a, b, 1 if a == b else 2, rngs) for a, b in zip(widths, widths[1:])])
        self.head = nnx.Linear(512, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn1(self.conv1(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class Depthwise(nnx.Module):
    def __init__(self, channels, factor, rngs):
        wide = factor * channels
        self.conv1, self.bn1 = Conv(channels, wide, (1, 1), padding=0, rngs=rngs), BatchNorm(wide, rngs=rngs)
        self.conv2, self.bn2 = Conv(wide, wide, (3, 3), feature_group_count=wide, rngs=rngs), BatchNorm(wide, rngs=rngs)
        self.conv3, self.bn3 = Conv(wide, channels, (1, 1), padding=0, rngs=rngs), BatchNorm(channels, rngs=rngs)

    def __call__(self, x):
        y = nnx.relu6(self.bn2(self.conv2(nnx.relu6(self.bn1(self.conv1(x))))))
        return x + self.bn3(self.conv3(y))


class LanguageLSTM(nnx.Module):
    def __init__(self, vocabulary, width, layers, rngs):
        self.token = Embed(vocabulary, width, rngs=rngs)
        cell = functools.partial(nnx.OptimizedLSTMCell, param_dtype=float)  # the dtype of its first state too
        self.rnns = nnx.List([nnx.RNN(cell(width, width, rngs=rngs), rngs=rngs) for _ in range(layers)])
        self.head = nnx.Linear(width, vocabulary, rngs=rngs)

    def __call__(self, tokens):
        x = self.token(tokens)
        for rnn in self.rnns:
            x = rnn(x)
        return self.head(x)


class Block(nnx.Module):
    def __init__(self, width, heads, rngs):
        self.norm1, self.norm2 = LayerNorm(width, rngs=rngs), LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x), is_causal=True)
        return x + self.down(gelu(self.up(self.norm2(x))))


class Repeated(nnx.Module):
    """Blocks with stacked parameters, scanned (https://flax.readthedocs.io/en/latest/guides/transforms.html)."""

    def __init__(self, width, heads, layers, rngs):
        @nnx.split_rngs(splits=layers)
        @nnx.vmap(in_axes=(0,), out_axes=0)
        def create(rngs):
            return Block(width, heads, rngs)

        self.block = create(rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def forward(x, block):
            return block(x)

        return forward(x, self.block)


class GPT(nnx.Module):
    def __init__(self, vocabulary, length, width, heads, layers, repeat, rngs):
        self.token, self.position = Embed(vocabulary, width, rngs=rngs), Embed(length, width, rngs=rngs)
        if repeat:
            self.blocks = Repeated(width, heads, layers, rngs)
        else:
            self.blocks = nnx.Sequential(*(Block(width, heads, rngs) for _ in range(layers)))
        self.norm, self.head = LayerNorm(width, rngs=rngs), nnx.Linear(width, vocabulary, rngs=rngs)

    def __call__(self, tokens):
        x = self.blocks(self.token(tokens) + self.position(jnp.arange(tokens.shape[1])))
        return self.head(self.norm(x))


MODELS = {
    "xor": XOR,
    "mlp": lambda batch, **sizes: MLP(**sizes),
    "cnn": lambda batch, **sizes: CNN(**sizes),
    "resnet18": lambda batch, rngs: ResNet18(rngs),
    "depthwise": lambda batch, **sizes: Depthwise(**sizes),
    "lstm": lambda batch, length, **sizes: LanguageLSTM(**sizes),
    "gpt": lambda batch, **sizes: GPT(**sizes),
}
CRITERIA = {
    "xor": lambda outputs, targets: optax.l2_loss(outputs, targets).sum(),
    "depthwise": lambda outputs, targets: optax.squared_error(outputs, targets).mean(),
}


def cross_entropy(logits, labels):
    """Mean over all labels, from full logits."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def nhwc(x):
    """Images from NCHW; all else as it is."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def from_bpjax(kind, name, shape, p):
    """A parameter of the model here, of this shape, from all those of bpjax, by their names."""
    *path, last = name.removesuffix(".value").replace("blocks.layers", "blocks").split(".")
    kept = {"kernel": "weight", "scale": "weight", "embedding": "weight", "bias": "bias"}[last]
    if kind == "xor":
        weight = {"hidden": "weights_input_hidden", "output": "weights_hidden_output"}[path[0]]
        return p[weight] if last == "kernel" else p[f"bias_{path[0]}"][0]
    if path[0] == "rnns":
        own = lambda name: p[f"lstm.{name}_l{path[1]}"]
        return own("bias_ih") + own("bias_hh") if last == "bias" else own(f"weight_{path[3][-1]}h").T
    if "attention" in path:
        *block, _, part = path
        if part == "out":
            w = p[".".join([*block, "out", kept])]
        else:
            thirds = jnp.split(p[".".join([*block, "qkv", kept])], 3, axis=-2 if last == "kernel" else -1)
            w = thirds[("query", "key", "value").index(part)]
    else:
        w = p[".".join([*path, kept])]
    if kind == "cnn" and name.startswith("head.kernel"):  # flattened from NHWC
        w = w.reshape(10, -1, 4, 4).transpose(0, 2, 3, 1).reshape(10, -1)
    if last == "kernel":
        w = w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.swapaxes(-1, -2)
    return w.reshape(shape)


def opponent(workload, problem):
    """`(loss, params, named)`: a loss of parameters and the data of `problem`, those parameters, their gradients by bpjax's names."""
    sizes = inspect.signature(workload.make).bind(**workload.sizes)
    sizes.apply_defaults()
    make = lambda: MODELS[workload.kind](**sizes.arguments, rngs=nnx.Rngs(0))
    graphdef, params, _ = nnx.split(nnx.eval_shape(make), nnx.Param, ...)
    rest = jax.jit(lambda: nnx.split(make(), nnx.Param, ...)[2])()  # compiled, for the parameters that Flax would draw to fall away
    rest = jax.tree.map(lambda x: x.astype(float) if x.dtype == jnp.float32 else x, rest)  # running statistics, where float64 is on
    criterion = CRITERIA.get(workload.kind, cross_entropy)

    def convert(theirs):
        p = state_dict(theirs)
        name = functools.partial(jax.tree_util.keystr, simple=True, separator=".")
        return jax.tree.map_with_path(lambda path, leaf: from_bpjax(workload.kind, name(path), leaf.shape, p), params)

    def loss(params, x, targets=None):
        if targets is None:
            x, targets = x[:, :-1], x[:, 1:]
        model = nnx.merge(graphdef, params, rest, copy=True)  # of its own, for running statistics to be written to
        return criterion(model(nhwc(x)), nhwc(targets))

    def named(grads):
        (theirs,) = jax.linear_transpose(convert, problem.params)(grads)
        return {name: np.asarray(value, np.float64) for name, value in state_dict(theirs).items()}

    return loss, convert(problem.params), named
