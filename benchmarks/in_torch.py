"""The models of benchmarks/workloads.py in PyTorch, with the parameters of bpjax."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bpjax.interop import state_dict

Conv = functools.partial(nn.Conv2d, bias=False)
BatchNorm = functools.partial(nn.BatchNorm2d, track_running_stats=False)  # no loss here needs them, and XLA drops those of the others


class XOR(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return torch.sigmoid(self.output(torch.sigmoid(self.hidden(x))))


class MLP(nn.Module):
    def __init__(self, activation, layers, width):
        super().__init__()
        widths = [784, *[width] * (layers - 1), 10]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths, widths[1:])])
        self.activation = getattr(F, activation)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class CNN(nn.Module):
    def __init__(self, width):
        super().__init__()
        widths = [3, width, 2 * width, 4 * width]
        self.convs = nn.ModuleList([Conv(a, b, 3, padding=1) for a, b in zip(widths, widths[1:])])
        self.norms = nn.ModuleList([BatchNorm(b) for b in widths[1:]])
        self.head = nn.Linear(4 * width * 16, 10)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        return self.head(x.flatten(1))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = Conv(inputs, outputs, 3, stride, padding=1), BatchNorm(outputs)
        self.conv2, self.bn2 = Conv(outputs, outputs, 3, padding=1), BatchNorm(outputs)
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.conv3, self.bn3 = Conv(inputs, outputs, 1, stride), BatchNorm(outputs)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.bn3(self.conv3(x)) if self.projects else x))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = Conv(3, 64, 3, padding=1), BatchNorm(64)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = nn.Sequential(*(BasicBlock(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:])))
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


class Depthwise(nn.Module):
    def __init__(self, channels, factor):
        super().__init__()
        wide = factor * channels
        self.conv1, self.bn1 = Conv(channels, wide, 1), BatchNorm(wide)
        self.conv2, self.bn2 = Conv(wide, wide, 3, padding=1, groups=wide), BatchNorm(wide)
        self.conv3, self.bn3 = Conv(wide, channels, 1), BatchNorm(channels)

    def forward(self, x):
        y = F.relu6(self.bn2(self.conv2(F.relu6(self.bn1(self.conv1(x))))))
        return x + self.bn3(self.conv3(y))


class LanguageLSTM(nn.Module):
    def __init__(self, vocabulary, width, layers):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.lstm(self.token(tokens))[0])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary, length, width, heads, layers):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.blocks(self.token(tokens) + self.position(torch.arange(tokens.shape[1])))
        return self.head(self.norm(x))


MODELS = {
    "xor": XOR,
    "mlp": lambda batch, **sizes: MLP(**sizes),
    "cnn": lambda batch, **sizes: CNN(**sizes),
    "resnet18": lambda batch: ResNet18(),
    "depthwise": lambda batch, **sizes: Depthwise(**sizes),
    "lstm": lambda batch, length, **sizes: LanguageLSTM(**sizes),
    "gpt": lambda batch, repeat, **sizes: GPT(**sizes),
}
CRITERIA = {"xor": lambda outputs, targets: F.mse_loss(outputs, targets, reduction="sum") / 2, "depthwise": F.mse_loss}


def cross_entropy(logits, labels):
    """Mean over all labels, from full logits."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def from_bpjax(kind, name, p):
    """A parameter of the model here from all those of bpjax, by their names."""
    if kind == "xor":
        layer, last = name.split(".")
        weight = {"hidden": "weights_input_hidden", "output": "weights_hidden_output"}[layer]
        return p[weight].T if last == "weight" else p[f"bias_{layer}"][0]
    if name not in p:
        _, i, rest = name.split(".", 2)
        return p[f"blocks.block.{rest}"][int(i)]
    return p[name]


def tensor(array):
    """A copy; whole numbers become int64, which PyTorch asks of labels."""
    return torch.from_numpy(np.array(array, np.int64 if jnp.issubdtype(array.dtype, jnp.integer) else None))


def build(workload, problem):
    """`(model, loss, data, named)`: the loss is of that data; `named()` gives the gradients by bpjax's names."""
    sizes = inspect.signature(workload.make).bind(**workload.sizes)
    sizes.apply_defaults()
    model = MODELS[workload.kind](**sizes.arguments)
    criterion = CRITERIA.get(workload.kind, cross_entropy)

    def convert(theirs):
        p = state_dict(theirs)
        return {name: from_bpjax(workload.kind, name, p) for name, _ in model.named_parameters()}

    def loss(x, targets=None):
        if targets is None:
            x, targets = x[:, :-1], x[:, 1:]
        return criterion(model(x), targets)

    def named():
        grads = {name: jnp.asarray(parameter.grad.numpy()) for name, parameter in model.named_parameters()}
        (theirs,) = jax.linear_transpose(convert, problem.params)(grads)
        return {name: np.asarray(value, np.float64) for name, value in state_dict(theirs).items()}

    model.load_state_dict({name: tensor(value) for name, value in convert(problem.params).items()}, assign=True)
    return model.requires_grad_(), loss, [tensor(x) for x in problem.data], named


def stepping(model, loss, data, steps, learning_rate):
    """A call that makes so many steps of gradient descent, or with 0 only one gradient, and returns the last loss."""
    optimizer = torch.optim.SGD(model.parameters(), learning_rate)

    def call():
        for _ in range(max(steps, 1)):
            optimizer.zero_grad(set_to_none=True)
            value = loss(*data)
            value.backward()
            if steps:
                optimizer.step()
        return value.detach()

    return call


def opponent(workload, problem, learning_rate=0.1, steps=None):
    """`(call, named)`: one step (`steps`, else `workload.steps`, of gradient descent); the last gradients by bpjax's names."""
    model, loss, data, named = build(workload, problem)
    return stepping(model, loss, data, workload.steps if steps is None else steps, learning_rate), named


def compiled(workload, problem, learning_rate=0.1, steps=None):
    """`opponent` with its forward pass under torch.compile. Errors: RuntimeError with the reason where that does not work."""
    model, loss, data, named = build(workload, problem)
    torch.compiler.reset()  # or after eight models it compiles no more: to it they are one function
    loss = torch.compile(loss)
    try:
        loss(*data).backward()
    except Exception as error:
        raise RuntimeError(f"torch.compile: {type(error).__name__}: {error}") from error
    return stepping(model, loss, data, workload.steps if steps is None else steps, learning_rate), named
