"""The hand-written path never calls JAX's autodiff; the automatic path never sees a hand-written rule."""

import contextlib

import jax
import jax.extend.core
import jax.numpy as jnp
import pytest
from jax.interpreters import ad

import bpjax
import bpjax.nn.functional as F
from bpjax import nn


class Perceptron(nn.Module):
    def __init__(self):
        self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class Convolutional(nn.Module):
    def __init__(self):
        self.conv, self.pool, self.fc = nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Linear(8, 3)

    def forward(self, x):
        x = self.pool(F.relu(self.conv(x.reshape(-1, 1, 4, 4))))
        return self.fc(x.reshape(x.shape[0], -1))


class Recurrent(nn.Module):
    def __init__(self):
        self.rnn, self.fc = nn.RNN(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.rnn(x.reshape(-1, 4, 4))[0][:, -1])


MODELS = {"mlp": (Perceptron, 8), "cnn": (Convolutional, 16), "rnn": (Recurrent, 16)}


def make_loss(name):
    kind, width = MODELS[name]
    model = kind()
    params = model.init(jax.random.key(0))
    x, y = jax.random.normal(jax.random.key(1), (5, width)), jnp.array([0, 1, 2, 0, 1])
    return lambda params: F.cross_entropy(model.apply(params, x), y), params


@contextlib.contextmanager
def raising_autodiff(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("JAX's autodiff was called")

    with monkeypatch.context() as m:
        for name in ("vjp", "jvp", "linearize", "grad", "value_and_grad", "linear_transpose", "jacfwd", "jacrev", "hessian"):
            m.setattr(jax, name, refuse)
        for table in (ad.primitive_jvps, ad.primitive_transposes):
            for primitive in list(table):
                m.setitem(table, primitive, refuse)
        yield


@pytest.mark.parametrize("name", MODELS)
def test_the_hand_path_runs_without_jax_autodiff(name, monkeypatch):
    loss, params = make_loss(name)
    jax.clear_caches()
    with raising_autodiff(monkeypatch):
        jax.jit(bpjax.grad(loss))(params)
        with pytest.raises(AssertionError, match="autodiff was called"):
            jax.jvp(jnp.sin, (1.0,), (1.0,))


LOOKING_IN = {
    "health": lambda loss: jax.jit(bpjax.inspect.health(loss)),
    "replaced rules and deltas": lambda loss: bpjax.grad(loss, rules={"linear": lambda eq, dy: eq.original(dy)}, at={"fc*": lambda d: d}),
    "find_nan": lambda loss: lambda params: bpjax.find_nan(loss, params),
}


@pytest.mark.parametrize("way", LOOKING_IN)
def test_looking_into_the_hand_path_runs_without_jax_autodiff(way, monkeypatch):
    loss, params = make_loss("mlp")
    jax.clear_caches()
    with raising_autodiff(monkeypatch):
        LOOKING_IN[way](loss)(params)


@pytest.mark.parametrize("name", MODELS)
def test_the_automatic_path_runs_without_any_written_backward(name, monkeypatch):
    loss, params = make_loss(name)

    def refuse(*args, **kwargs):
        raise AssertionError("a written backward was called")

    for op in vars(F).values():
        if isinstance(op, bpjax.engine.Op):
            monkeypatch.setattr(op, "_backward", refuse)
    jax.clear_caches()
    jax.jit(jax.grad(loss))(params)
    with pytest.raises(bpjax.RuleError, match="a written backward was called"):
        bpjax.grad(loss)(params)
