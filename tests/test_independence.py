"""The hand-written path never calls JAX's autodiff; the automatic path never sees a hand-written rule."""

import contextlib

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import sparse
from jax.interpreters import ad
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

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


def with_a_reference(x):
    ref = jax.new_ref(jnp.ones(()))

    def step(c, row):
        ref[...] *= jnp.sin(row[0])
        return c * row[1], ref[...]

    return jnp.sum(lax.scan(step, 1.0, x)[1])


def on_each_device(x):
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))
    each = lambda x: lax.psum(jnp.sum(jnp.tanh(lax.all_gather(x, "i"))), "i")
    return jax.shard_map(each, mesh=mesh, in_specs=P("i"), out_specs=P(), check_vma=False)(x)


# plain programs of a positive (4, 4) array; no rule of these may be borrowed
PROGRAMS = {
    "cholesky": lambda x: jnp.sum(jnp.linalg.cholesky(x @ x.T + jnp.eye(4))),
    "triangular_solve": lambda x: jnp.sum(lax.linalg.triangular_solve(x + 9 * jnp.eye(4), x)),  # solve transposes its map when it is called
    "svd": lambda x: jnp.sum(jnp.linalg.svd(x)[1] ** 3),
    "eigh": lambda x: jnp.sum(jnp.linalg.eigh(x + x.T)[0] ** 3),
    "qr": lambda x: jnp.sum(jnp.linalg.qr(x)[1] ** 2),
    "fft": lambda x: jnp.sum(jnp.abs(jnp.fft.fft2(x))),
    "complex": lambda x: jnp.sum(jnp.real(jnp.exp(x * (1 + 2j)) / (x + 1j))),
    "gamma": lambda x: jnp.sum(jax.random.gamma(jax.random.key(0), x)),
    "experts": lambda x: jnp.sum(lax.ragged_dot(x, jnp.stack([x, 2 * x]), jnp.array([1, 3])) ** 2),
    "reduce": lambda x: jnp.sum(lax.reduce(x, 1.0, lambda a, b: a * b + a, (0,))),
    "sparse": lambda x: jnp.sum((sparse.BCOO((x[0], jnp.array([[0, 1], [1, 2], [2, 0], [3, 3]])), shape=(4, 4)) @ x) ** 2),
    "a bounded while": lambda x: bpjax.bounded_while(lambda c: c < 9, lambda c: c * 2 + x[0, 0], x[0, 1], max_steps=5),
    "a reference": with_a_reference,
    "Python asks": lambda x: jnp.sum(x[x[:, 0] > x[0, 0]] ** 2) if x[0, 0] > 0 else jnp.sum(x),
    "each device": on_each_device,
    "an op on an explicit mesh": lambda x: F.cross_entropy(F.linear(x, x), jnp.arange(4)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_plain_programs_run_without_jax_autodiff(name, monkeypatch):
    f, x = PROGRAMS[name], jax.random.uniform(jax.random.key(2), (4, 4)) + 0.5
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh) if "mesh" in name else contextlib.nullcontext():
        x = jax.device_put(x, NamedSharding(mesh, P("i"))) if "mesh" in name else x
        jax.clear_caches()
        with raising_autodiff(monkeypatch):
            hand = bpjax.grad(f, missing="error")(x)
        np.testing.assert_allclose(hand, jax.grad(f)(x), rtol=2e-4, atol=1e-5)


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
