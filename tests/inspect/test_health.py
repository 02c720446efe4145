"""Health agrees with a recomputation from bpjax.backprop and plain jnp, costs nothing when off, and runs no second forward pass."""

import cProfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bpjax
import bpjax.functional as F
from bpjax import inspect, nn
from bpjax.models.digits import MODELS, classification_loss
from bpjax.program import jaxprs
from bpjax.program.modules import owner_of
from bpjax.program.straight import inside
from bpjax.training import TrainState, create_state, make_train_step

TOLERANCE = {"rtol": 1e-6, "atol": 1e-12}
key = jax.random.key(0)


def norm(*arrays):
    return np.sqrt(sum(np.sum(np.square(np.asarray(a, np.float64))) for a in arrays))


def modules_of(tree):
    """{module: leaves}"""
    found: dict = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = ".".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)
        found.setdefault(owner_of(name), []).append(leaf)
    return found


def watched(loss, **options):
    return jax.jit(inspect.health(loss, **options))


def assert_agrees(loss, params, *args):
    """With backprop's deltas and gradients, and norms by NumPy."""
    right = bpjax.backprop(loss)(params, *args)
    value, grads, health, _ = watched(loss)(params, *args)
    np.testing.assert_allclose(value, loss(params, *args), **TOLERANCE)
    np.testing.assert_allclose(health.value, value, **TOLERANCE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), grads, bpjax.grad(loss)(params, *args))
    assert health.delta.dtype == health.gradient.dtype == jnp.float64
    deltas = [norm(right.deltas[module]) for module in health.modules]
    np.testing.assert_allclose(health.delta, deltas, **TOLERANCE)
    np.testing.assert_allclose(health.incoming[-1], deltas[-1], **TOLERANCE)
    for column, tree in ((health.weight, params), (health.gradient, grads)):
        np.testing.assert_allclose(column, [norm(leaf) for leaf in jax.tree.leaves(tree)], **TOLERANCE)
    np.testing.assert_allclose(health.gain, health.outgoing / health.incoming, **TOLERANCE)
    assert [owner_of(name) for name in health.parameters] == [m for m, leaves in modules_of(params).items() for _ in leaves]
    assert health.sizes == tuple(leaf.size for leaf in jax.tree.leaves(params))
    parts = [np.pad(np.ravel(leaf), (0, -leaf.size % 8)).reshape(8, -1).sum(1) for leaf in jax.tree.leaves(grads)]
    np.testing.assert_allclose(health.sketch, parts, rtol=1e-6, atol=1e-12)
    return health


def images(n=5):
    return jax.random.normal(key, (n, 8, 8)), jnp.arange(n) % 10


@pytest.mark.parametrize("name", MODELS)
def test_health_of_a_digits_model_agrees_with_backprop(name, x64):
    model = MODELS[name](6)
    loss = classification_loss(model)

    def value(params, batch):
        return loss(params, batch, buffers={}, rng=key, train=True)[0]

    params = model.init(key)
    if name != "rnn":
        health = assert_agrees(value, params, images())
    else:  # an RNN returns all its states and the last: backprop's deltas are those of both
        health = watched(value)(params, images()).health
    assert health.modules == tuple(model._modules)


class Residual(nn.Module):
    def __init__(self):
        self.stem, self.up, self.down, self.head = nn.Linear(4, 6), nn.Linear(6, 9), nn.Linear(9, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.down(F.relu(self.up(x))))


def test_health_of_a_residual_net_agrees_with_backprop(x64):
    model, x = Residual(), jax.random.normal(key, (5, 4))
    params = model.init(key)
    health = assert_agrees(lambda p, x: jnp.sum(model.apply(p, x) ** 2), params, x)
    up = model.bind(params).up(model.bind(params).stem(x))
    np.testing.assert_allclose(health.dead[health.modules.index("up")], np.mean(np.all(np.asarray(up) <= 0, 0)), **TOLERANCE)


# ---- borders: incoming and outgoing against tags ----


def three(params, x, act=jnp.tanh, spy=lambda x, name: x):
    """Three layers in a plain dict; `spy` sees what enters each layer, and what leaves its activation."""
    for name in "abc":
        x = spy(spy(x, f"{name} in") @ params[name]["w"] + params[name]["b"], f"{name} out")
        x = spy(act(x), f"{name} exit") if name != "c" else x
    return jnp.sum(x**2)


def layers(width=4, dtype=None):
    keys = jax.random.split(key, 3)
    return {m: {"w": jax.random.normal(k, (width, width), dtype), "b": jax.random.normal(k, (width,), dtype)} for m, k in zip("abc", keys)}


def assert_tagged(function, params, x, act):
    deltas = bpjax.backprop(lambda p, x: three(p, x, act, bpjax.tag))(params, x).deltas
    health = function(params, x).health
    assert health.modules == tuple("abc")
    np.testing.assert_allclose(health.delta, [norm(deltas[f"{m} out"]) for m in "abc"], **TOLERANCE)
    np.testing.assert_allclose(health.incoming, [norm(deltas[k]) for k in ("a exit", "b exit", "c out")], **TOLERANCE)
    np.testing.assert_allclose(health.outgoing, [0, norm(deltas["b in"]), norm(deltas["c in"])], **TOLERANCE)
    np.testing.assert_allclose(health.gain, np.asarray(health.outgoing) / np.asarray(health.incoming), **TOLERANCE)
    return health


@pytest.mark.parametrize("act", [jnp.tanh, jax.nn.relu, jax.nn.gelu, F.silu, F.sigmoid])
def test_what_arrives_and_what_is_passed_on_agree_with_tags(act, x64):
    assert_tagged(watched(lambda p, x: three(p, x, act)), layers(), jax.random.normal(key, (5, 4)), act)


def test_what_is_passed_on_agrees_with_the_modules_own_pullback(x64):
    params, x = layers(), jax.random.normal(key, (5, 4))
    h = jnp.tanh(x @ params["a"]["w"] + params["a"]["b"])
    y, pullback = bpjax.vjp(lambda h: jnp.tanh(h @ params["b"]["w"] + params["b"]["b"]), h)
    _, above = bpjax.vjp(lambda y: jnp.sum((y @ params["c"]["w"] + params["c"]["b"]) ** 2), y)
    health = watched(three)(params, x).health
    np.testing.assert_allclose(health.incoming[1], norm(*above(1.0)), **TOLERANCE)
    np.testing.assert_allclose(health.outgoing[1], norm(*pullback(*above(1.0))), **TOLERANCE)


def test_float32_agrees_with_float64_sums():
    params, x = layers(dtype=jnp.float32), jax.random.normal(key, (5, 4), jnp.float32)
    health = assert_tagged(watched(three), params, x, jnp.tanh)
    assert health.delta.dtype == jnp.float32


def test_bfloat16_is_summed_in_float32():
    params, x = layers(dtype=jnp.bfloat16), jax.random.normal(key, (5, 4), jnp.bfloat16)
    _, grads, health, _ = watched(three)(params, x)
    assert health.gradient.dtype == jnp.float32
    np.testing.assert_allclose(health.gradient, [norm(g.astype(jnp.float32)) for g in jax.tree.leaves(grads)], **TOLERANCE)


def test_health_is_the_same_under_checkpoint(x64):
    params, x = layers(), jax.random.normal(key, (5, 4))
    assert_tagged(watched(jax.checkpoint(three)), params, x, jnp.tanh)


def test_health_is_the_same_under_vmap(x64):
    params, xs = layers(), jax.random.normal(key, (3, 5, 4))
    stacked = jax.vmap(watched(three), (None, 0))(params, xs).health
    for i, x in enumerate(xs):
        one = watched(three)(params, x).health
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[i], b, **TOLERANCE), stacked, one)


def test_health_is_the_same_inside_a_scan_over_steps(x64):
    params, xs = layers(), jax.random.normal(key, (3, 5, 4))
    _, stacked = jax.lax.scan(lambda p, x: (p, watched(three)(p, x).health), params, xs)
    for i, x in enumerate(xs):
        one = watched(three)(params, x).health
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[i], b, **TOLERANCE), stacked, one)


def recurrent(params, xs, spy=lambda x, name: x):
    def step(h, x):
        return jnp.tanh(x @ params["cell"]["w"] + h @ params["cell"]["u"]), None

    h, _ = jax.lax.scan(step, jnp.zeros(xs.shape[1:]), spy(jnp.tanh(xs @ params["embed"]["w"]), "embed exit"))
    return jnp.sum(spy(spy(h, "cell out") @ params["head"]["w"], "head out") ** 2)


def test_a_scan_of_one_module_has_one_output(x64):
    w = [layer["w"] for layer in layers().values()]
    params = {"embed": {"w": w[0]}, "cell": {"w": w[1], "u": w[2]}, "head": {"w": w[0]}}
    xs = jax.random.normal(key, (6, 5, 4))
    deltas = bpjax.backprop(lambda p, x: recurrent(p, x, bpjax.tag))(params, xs).deltas
    health = watched(recurrent)(params, xs).health
    assert health.modules == ("embed", "cell", "head")
    np.testing.assert_allclose(health.delta[1:], [norm(deltas["cell out"]), norm(deltas["head out"])], **TOLERANCE)
    np.testing.assert_allclose(health.incoming[:2], [norm(deltas["embed exit"]), norm(deltas["cell out"])], **TOLERANCE)
    np.testing.assert_allclose(health.outgoing[1:], [norm(deltas["embed exit"]), norm(deltas["cell out"])], **TOLERANCE)


def looped(params, xs, spy=lambda x, name: x):
    def step(h, x):
        h = jnp.tanh(spy(jnp.concatenate([x, h], -1) @ params["in"]["w"], "in out"))
        return jnp.tanh(spy(h @ params["out"]["w"], "out out")), None

    return jnp.sum(jax.lax.scan(step, jnp.zeros(xs.shape[1:]), xs)[0] ** 2)


def test_modules_inside_a_scan_count_all_its_steps(x64):
    w = [layer["w"] for layer in layers().values()]
    params, xs = {"in": {"w": jnp.concatenate(w[:2])}, "out": {"w": w[2]}}, jax.random.normal(key, (6, 5, 4))
    deltas = bpjax.backprop(lambda p, x: looped(p, x, bpjax.tag))(params, xs).deltas
    health = watched(looped)(params, xs).health
    assert health.modules == ("in", "out") and deltas["in out"].shape == (6, 5, 4)
    np.testing.assert_allclose(health.delta, [norm(deltas["in out"]), norm(deltas["out out"])], **TOLERANCE)


def test_tied_weights_are_one_module_with_one_gradient(x64):
    def loss(params, x):
        return jnp.sum((jnp.tanh(x @ params["tied"]["w"]) @ params["tied"]["w"].T - x) ** 2)

    params, x = {"tied": {"w": layers()["a"]["w"]}}, jax.random.normal(key, (5, 4))
    value, grads, health, _ = watched(loss)(params, x)
    assert health.modules == ("tied",) and health.parameters == ("tied.w",)
    np.testing.assert_allclose(health.gradient, [norm(bpjax.grad(loss)(params, x)["tied"]["w"])], **TOLERANCE)


def test_aux_is_handed_on_and_argnums_are_named(x64):
    def loss(x, params, other):
        return three(params, x) * other["s"]["g"], {"mean": x.mean()}

    x = jax.random.normal(key, (5, 4))
    found = watched(loss, argnums=(1, 2), has_aux=True)(x, layers(), {"s": {"g": jnp.ones(())}})
    np.testing.assert_allclose(found.aux["mean"], x.mean(), **TOLERANCE)
    right = bpjax.grad(loss, argnums=(1, 2), has_aux=True)(x, layers(), {"s": {"g": jnp.ones(())}})[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), found.grads, right)
    assert found.health.parameters[0] == "argument 1.a.b"


def test_updates_are_added(x64):
    params, x = layers(), jax.random.normal(key, (5, 4))
    health = watched(three)(params, x).health
    assert np.all(np.isnan(health.update))
    updates = jax.tree.map(lambda p: -0.1 * p, params)
    np.testing.assert_allclose(health.with_updates(updates).update, 0.1 * np.asarray(health.weight), **TOLERANCE)


# ---- dead and saturated ----


@pytest.mark.parametrize("relu", [jax.nn.relu, F.relu, lambda x: jnp.maximum(x, 0), nnx.relu], ids=["jax", "bpjax", "maximum", "flax"])
def test_dead_is_the_share_of_units_that_are_off_for_every_example(relu, x64):
    params, x = layers(16), jax.random.normal(key, (3, 16))
    params["a"]["b"] = jnp.linspace(-20, 20, 16)
    health = watched(lambda p, x: three(p, x, relu))(params, x).health
    z = x @ params["a"]["w"] + params["a"]["b"]
    y = jnp.maximum(z, 0) @ params["b"]["w"] + params["b"]["b"]
    np.testing.assert_allclose(health.dead, [np.mean(np.all(np.asarray(v) < 0, 0)) for v in (z, y)] + [np.nan], **TOLERANCE)
    assert 0.1 < health.dead[0] < 0.9
    assert np.all(np.isnan(health.saturated))


def test_a_unit_that_nothing_above_asks_is_not_dead(x64):
    params, x = layers(), jax.random.normal(key, (5, 4))
    params = {**params, "a": {**params["a"], "b": jnp.full(4, 20.0)}, "b": {**params["b"], "b": jnp.full(4, -99.0)}}
    health = watched(lambda p, x: three(p, x, jax.nn.relu))(params, x).health
    np.testing.assert_array_equal(health.dead, [0, 1, np.nan])


@pytest.mark.parametrize("channel_first", [True, False])
def test_a_units_of_a_convolution_is_a_channel(channel_first, x64):
    x, w = jax.random.normal(key, (2, 3, 5, 5)), jax.random.normal(key, (4, 3, 3, 3))
    b = jnp.array([-99.0, 0, -99, -99])

    def loss(params, x):
        if channel_first:
            y = F.conv2d(x, params["conv"]["w"], params["conv"]["b"])
        else:
            y = F.conv2d(x, params["conv"]["w"], params["conv"]["b"]).transpose(0, 2, 3, 1)
        return jnp.sum(F.relu(y) ** 2)

    assert float(watched(loss)({"conv": {"w": w, "b": b}}, x).health.dead[0]) == 0.75


FLAT = {
    "bpjax sigmoid": (F.sigmoid, lambda z: 1 / (1 + np.exp(-z)), lambda y: 4 * y * (1 - y)),
    "jax sigmoid": (jax.nn.sigmoid, lambda z: 1 / (1 + np.exp(-z)), lambda y: 4 * y * (1 - y)),
    "bpjax tanh": (F.tanh, np.tanh, lambda y: 1 - y * y),
    "jax tanh": (jnp.tanh, np.tanh, lambda y: 1 - y * y),
}


@pytest.mark.parametrize("name", FLAT)
def test_saturated_is_the_share_of_values_where_the_slope_is_small(name, x64):
    act, plain, slope = FLAT[name]
    params, x = layers(), jax.random.normal(key, (50, 4)) * 3
    health = watched(lambda p, x: three(p, x, act))(params, x).health
    y = plain(np.asarray(x @ params["a"]["w"] + params["a"]["b"]))
    z = plain(np.asarray(y @ params["b"]["w"] + params["b"]["b"]))
    np.testing.assert_allclose(health.saturated, [np.mean(slope(y) < 0.08), np.mean(slope(z) < 0.08), np.nan], **TOLERANCE)
    assert health.saturated[0] > 0.1


# ---- non-finite ----


def test_what_is_not_finite_is_counted():
    params, x = layers(), jax.random.normal(key, (5, 4))
    params["b"]["b"] = jnp.array([0, jnp.nan, 0, 0])
    health = watched(three)(params, x).health
    assert health.nonfinite_forward.tolist() == [0, 5, 20]
    assert health.nonfinite_backward[2] >= 20
    assert float(watched(three)(layers(), x.at[0].set(jnp.inf)).health.nonfinite_input) == 4


# ---- models that know nothing of bpjax ----


class Perceptron(nnx.Module):
    def __init__(self):
        self.first, self.second = nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.Linear(8, 3, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


def test_health_of_flax_nnx(x64):
    graph, params, rest = nnx.split(Perceptron(), nnx.Param, ...)
    params = jax.tree.map(lambda p: p.astype(jnp.float64), params)
    x = jax.random.normal(key, (5, 4))

    def loss(params):
        return jnp.sum(nnx.merge(graph, params, rest, copy=True)(x) ** 2)

    _, grads, health, _ = watched(loss)(params)
    assert health.modules == ("first", "second")
    w = {name: (leaf["kernel"][...], leaf["bias"][...]) for name, leaf in nnx.to_pure_dict(params).items()}
    z = x @ w["first"][0] + w["first"][1]
    y = np.maximum(z, 0) @ w["second"][0] + w["second"][1]
    arrives = 2 * y @ w["second"][0].T
    np.testing.assert_allclose(health.delta, [norm(arrives * (z > 0)), norm(2 * y)], rtol=1e-5)
    np.testing.assert_allclose(health.incoming, [norm(arrives), norm(2 * y)], rtol=1e-5)
    np.testing.assert_allclose(health.outgoing, [0, norm(arrives)], rtol=1e-5)
    np.testing.assert_allclose(health.gradient, [norm(g) for g in jax.tree.leaves(grads)], **TOLERANCE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), grads, bpjax.grad(loss)(params))
    np.testing.assert_allclose(health.dead[0], np.mean(np.all(np.asarray(z) <= 0, 0)), **TOLERANCE)


def test_health_of_equinox(x64):
    model, x = eqx.nn.MLP(4, 3, 8, 1, key=key), jax.random.normal(key, (5, 4))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params, x):
        return jnp.sum(jax.vmap(eqx.combine(params, static))(x) ** 2)

    _, grads, health, _ = watched(loss)(params, x)
    assert health.modules == ("layers.0", "layers.1")
    first, second = model.layers
    z = x @ first.weight.T + first.bias
    y = np.maximum(z, 0) @ second.weight.T + second.bias
    arrives = 2 * y @ second.weight
    np.testing.assert_allclose(health.delta, [norm(arrives * (z > 0)), norm(2 * y)], **TOLERANCE)
    np.testing.assert_allclose(health.incoming, [norm(arrives), norm(2 * y)], **TOLERANCE)
    np.testing.assert_allclose(health.outgoing, [0, norm(arrives)], **TOLERANCE)
    np.testing.assert_allclose(health.gradient, [norm(g) for g in jax.tree.leaves(grads)], **TOLERANCE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), grads, bpjax.grad(loss)(params, x))
    np.testing.assert_allclose(health.dead[0], np.mean(np.all(np.asarray(z) <= 0, 0)), **TOLERANCE)


# ---- what it costs ----


def by_hand(loss, optimizer):
    """The step that `make_train_step` stands for."""

    def step(state, batch):
        rng = jax.random.fold_in(state.rng, state.step)

        def of_step(params, batch, buffers):
            return loss(params, batch, buffers=buffers, rng=rng, train=True)

        (value, (buffers, metrics)), grads = bpjax.value_and_grad(of_step, has_aux=True)(state.params, batch, state.buffers)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new = TrainState(params=params, buffers=buffers, opt_state=opt_state, step=state.step + 1, rng=state.rng)
        return new, {**metrics, "loss": value}

    return jax.jit(step, donate_argnums=0)


@pytest.mark.parametrize("name", MODELS)
def test_off_the_compiled_program_is_the_same(name):
    model, optimizer = MODELS[name](6), optax.adam(1e-3)
    loss, state = classification_loss(model), create_state(model, key, optimizer)
    right = by_hand(loss, optimizer).lower(state, images()).as_text()
    before = make_train_step(loss, optimizer).lower(state, images()).as_text()
    watched = make_train_step(loss, optimizer, watch=True).lower(state, images()).as_text()
    after = make_train_step(loss, optimizer).lower(state, images()).as_text()
    assert before == after == right
    assert watched != right


def test_a_watched_step_takes_the_same_step():
    model, optimizer = MODELS["mlp"](6), optax.adam(1e-3)
    loss = classification_loss(model)
    ends = []
    for watch in (False, True):
        state, metrics = make_train_step(loss, optimizer, watch=watch)(create_state(model, key, optimizer), images())
        ends.append((state.params, metrics["loss"], metrics["accuracy"]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8), *ends)
    assert np.all(np.isfinite(metrics["health"].update))


HEAVY = ("dot_general", "conv_general_dilated", "tanh", "scan")


def count(jaxpr):
    found = dict.fromkeys(HEAVY, 0)

    def walk(prog):
        for eqn in prog.eqns:
            if eqn.primitive.name in found:
                found[eqn.primitive.name] += 1
            for inner in [inside(eqn)] if eqn.primitive.name == "op" else jaxprs.inner_programs(eqn):
                walk(inner)

    walk(jaxpr)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_watching_runs_no_second_forward_pass(name):
    model = MODELS[name](6)
    loss, params = classification_loss(model), model.init(key)

    def value(params, batch):
        return loss(params, batch, buffers={}, rng=key, train=True)[0]

    off = count(jax.make_jaxpr(bpjax.value_and_grad(value))(params, images()))
    assert count(jax.make_jaxpr(inspect.health(value))(params, images())) == off
    assert sum(off.values())


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30], ids=["squares underflow", "moderate", "squares overflow"])
def test_norms_hold_where_squares_do_not(size):
    params = {"a": {"w": jnp.full((2, 2), size)}, "b": {"w": jnp.ones(2)}}
    found = jax.jit(lambda p: inspect.health(lambda p: size * jnp.sum(jnp.ones((1, 2)) @ (p["a"]["w"] / size) @ p["b"]["w"]))(p).health)(
        params
    )
    np.testing.assert_allclose(found.weight, [2 * size, np.sqrt(2)], rtol=1e-5)
    np.testing.assert_allclose(found.gradient, [2.0, np.sqrt(8) * size], rtol=1e-5)
    np.testing.assert_allclose(found.delta, [np.sqrt(2) * size, size], rtol=1e-5)
    assert inspect.first_nonfinite(found) is None


def calls(f):
    """How many functions are called, JAX's and NumPy's among them."""
    profile = cProfile.Profile()
    profile.runcall(f)
    return sum(entry.callcount for entry in profile.getstats())


def test_the_work_grows_in_proportion_to_the_modules():
    def loss(params, x):
        for layer in params.values():
            x = jnp.tanh(x @ layer["w"] + layer["b"])
        return x.sum()

    def traced(depth):
        params = {f"m{i:04}": {"w": jnp.eye(2), "b": jnp.zeros(2)} for i in range(depth)}
        watched = lambda: jax.eval_shape(lambda p, x: inspect.health(loss)(p, x).health.with_updates(p, p), params, jnp.ones((1, 2)))
        health = jax.tree.map(lambda s: np.ones(s.shape, s.dtype), watched())
        monitor = inspect.Monitor()
        return calls(watched), calls(lambda: (monitor.record(health), monitor.table()))

    traced(5)
    for few, many in zip(traced(40), traced(160)):
        assert many < 5 * few
