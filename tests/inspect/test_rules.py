"""Each replaced backward is its paper's formula, in every framework and under every transformation, and touches nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.engine import Hook, hooked, op_of, replacements, run, sweep
from bpjax.inspect import rules
from bpjax.program import jaxprs

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(3)
SIZES = (4, 6, 5, 3)  # of x, two hidden layers, and the output


def normal(number, *shape):
    return jax.random.normal(jax.random.fold_in(jax.random.key(1), number), shape, jnp.float64)


def data():
    return normal(0, 7, SIZES[0]), normal(1, 7, SIZES[-1])


@jax.jit
def spike(x):
    return (x > 0).astype(x.dtype)


# ---- one perceptron, in three frameworks and in NumPy ----


class Perceptron(nn.Module):
    def __init__(self, activation):
        self.fc1, self.fc2, self.fc3 = (nn.Linear(i, o) for i, o in zip(SIZES, SIZES[1:]))
        self.activation = activation

    def forward(self, x):
        h = bpjax.tag(self.activation(self.fc1(x)), "h1")
        return self.fc3(bpjax.tag(self.activation(self.fc2(h)), "h2"))


class FlaxPerceptron(nnx.Module):
    def __init__(self, activation, rngs):
        self.fc1, self.fc2, self.fc3 = (nnx.Linear(i, o, rngs=rngs, param_dtype=jnp.float64) for i, o in zip(SIZES, SIZES[1:]))
        self.activation = activation

    def __call__(self, x):
        return self.fc3(self.activation(self.fc2(self.activation(self.fc1(x)))))


def of_bpjax(activation):
    model = Perceptron(activation)
    params = jax.tree.map(lambda a: a.astype(jnp.float64), model.init(KEY))
    return model.apply, params, lambda p: [(p[n]["weight"], p[n]["bias"]) for n in ("fc1", "fc2", "fc3")]


def of_equinox(activation):
    mlp = eqx.nn.MLP(SIZES[0], SIZES[-1], 5, 2, activation, key=KEY)
    layers = [eqx.nn.Linear(i, o, key=jax.random.fold_in(KEY, i)) for i, o in zip(SIZES, SIZES[1:])]
    params, static = eqx.partition(eqx.tree_at(lambda m: m.layers, mlp, tuple(layers)), eqx.is_inexact_array)
    return lambda p, x: jax.vmap(eqx.combine(p, static))(x), params, lambda p: [(layer.weight, layer.bias) for layer in p.layers]


def of_flax(activation):
    graph, params, rest = nnx.split(FlaxPerceptron(activation, nnx.Rngs(0)), nnx.Param, ...)

    def layers(p):
        p = nnx.to_pure_dict(p)
        return [(p[n]["kernel"].T, p[n]["bias"]) for n in ("fc1", "fc2", "fc3")]

    return lambda p, x: nnx.merge(graph, p, rest, copy=True)(x), params, layers


FRAMEWORKS = {"bpjax": of_bpjax, "Equinox": of_equinox, "Flax NNX": of_flax}
PLACES = {"bpjax": ("fc1", "fc2", "fc3"), "Equinox": ("layers.0", "layers.1", "layers.2"), "Flax NNX": ("fc1", "fc2", "fc3")}
ACTIVATIONS = {"relu": lambda a: np.maximum(a, 0), "round": np.round, "spike": lambda a: (a > 0) * 1.0}


def squared_error(apply, x, t):
    return lambda params: 0.5 * jnp.sum((apply(params, x) - t) ** 2)


def same(delta):
    return delta


def by_hand(layers, x, t, f, gate, *, feedback=None, at_a=(same, same, same), at_h=(same, same)):
    """The gradients of ½ ‖o - t‖²: da = gate(a, dh), dh = da F with F the weights or `feedback`; at_a, at_h replace deltas."""
    hs, activities = [np.asarray(x)], []
    for W, b in layers:
        activities.append(hs[-1] @ W.T + b)
        hs.append(f(activities[-1]))
    feedback = [W for W, _ in layers] if feedback is None else feedback
    grads = []
    da = at_a[2](activities[2] - t)
    for i in (2, 1, 0):
        grads.insert(0, (da.T @ hs[i], da.sum(0)))
        if i:
            da = at_a[i - 1](gate(activities[i - 1], at_h[i - 1](da @ feedback[i])))
    return grads


def assert_layers_close(layers, expected):
    for (dW, db), (W, b) in zip(layers, expected, strict=True):
        np.testing.assert_allclose(dW, W, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(db, b, rtol=1e-9, atol=1e-12)


def assert_gradient(framework, activation, f, gate, under_jit, *, expected=None, **replaced):
    """bpjax.grad with these `rules` and `at` is what the formula says, of the same parameters."""
    apply, params, layers = FRAMEWORKS[framework](activation)
    x, t = data()
    gradient = bpjax.grad(squared_error(apply, x, t), **replaced)
    if under_jit:
        gradient = jax.jit(gradient)
    arrays = [(np.asarray(W), np.asarray(b)) for W, b in layers(params)]
    plain = by_hand(arrays, x, np.asarray(t), f, gate, **expected or {})
    assert_layers_close(layers(gradient(params)), plain)


@pytest.fixture(params=[False, True], ids=["plain", "under jit"])
def under_jit(request):
    return request.param


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


GATES = {
    "guided back-propagation": (rules.guided_backpropagation, "relu", lambda a, d: (a > 0) * (d > 0) * d),
    "deconvolution": (rules.deconvolution, "relu", lambda a, d: (d > 0) * d),
    "straight-through": (lambda: rules.straight_through("round"), "round", lambda a, d: d),
    "surrogate gradient": (lambda: rules.surrogate_gradient("spike", beta=4.0), "spike", lambda a, d: d / (1 + 4 * abs(a)) ** 2),
}
JAX_ACTIVATIONS = {"relu": jax.nn.relu, "round": jnp.round, "spike": spike}


@pytest.mark.parametrize("name", GATES)
def test_the_backward_of_an_activation_is_its_papers(name, framework, under_jit):
    make, kind, gate = GATES[name]
    activation = F.relu if (framework, kind) == ("bpjax", "relu") else JAX_ACTIVATIONS[kind]
    assert_gradient(framework, activation, ACTIVATIONS[kind], gate, under_jit, rules=make())


def relu_gate(a, d):
    return (a > 0) * d


def nn_linear_init(key, out, n):
    return (2 * jax.random.uniform(key, (out, n), jnp.float64) - 1) / np.sqrt(n)


def normal_init(key, shape, dtype):
    return jax.random.normal(key, shape, dtype) / 2


ALIGNMENTS = {
    "bpjax": lambda: rules.feedback_alignment(KEY),
    "Equinox": lambda: rules.feedback_alignment(KEY, "dot_general", weight=0),
    "Flax NNX": lambda: rules.feedback_alignment(KEY, "dot_general", weight=1, init=normal_init),
}


def test_feedback_alignment_sends_the_delta_through_random_matrices(framework, under_jit):
    keys = [jax.random.fold_in(KEY, number) for number in range(3)]
    shapes = list(zip(SIZES[1:], SIZES))
    if framework == "Flax NNX":
        B = [normal_init(k, (n, out), jnp.float64).T for k, (out, n) in zip(keys, shapes)]
    else:
        B = [nn_linear_init(k, out, n) for k, (out, n) in zip(keys, shapes)]
    expected = {"feedback": [np.asarray(b) for b in B]}
    assert_gradient(framework, jax.nn.relu, ACTIVATIONS["relu"], relu_gate, under_jit, rules=ALIGNMENTS[framework](), expected=expected)


def direct_matrices(n_out=SIZES[-1]):
    return [np.asarray(nn_linear_init(jax.random.fold_in(KEY, i), n_out, n)) for i, n in enumerate(SIZES[1:3])]


def output_error(layers, x, t):
    h = np.asarray(x)
    for W, b in layers[:-1]:
        h = np.maximum(h @ W.T + b, 0)
    W, b = layers[-1]
    return h @ W.T + b - t


def test_direct_feedback_alignment_sends_the_outputs_delta_to_each_activation(under_jit):
    x, t = data()
    _, params, layers = of_bpjax(F.relu)
    e = output_error([tuple(map(np.asarray, layer)) for layer in layers(params)], x, np.asarray(t))
    expected = {"at_h": [lambda dh, B=B: e @ B for B in direct_matrices()]}
    at = rules.direct_feedback_alignment(KEY, "fc3", ["h1", "h2"])
    assert_gradient("bpjax", F.relu, ACTIVATIONS["relu"], relu_gate, under_jit, at=at, expected=expected)


def test_direct_feedback_alignment_reaches_the_layers_of_untouched_models(framework, under_jit):
    x, t = data()
    _, params, layers = FRAMEWORKS[framework](jax.nn.relu)
    e = output_error([tuple(map(np.asarray, layer)) for layer in layers(params)], x, np.asarray(t))
    expected = {"at_a": [*(lambda da, B=B: e @ B for B in direct_matrices()), same]}
    *hidden, output = PLACES[framework]
    at = rules.direct_feedback_alignment(KEY, output, hidden)
    assert_gradient(framework, jax.nn.relu, ACTIVATIONS["relu"], relu_gate, under_jit, at=at, expected=expected)


DELTAS = {
    "clipped by norm": (rules.clip_norm(0.7), lambda d: d * min(1, 0.7 / np.sqrt((d**2).sum()))),
    "clipped by value": (rules.clip_value(0.1), lambda d: np.minimum(np.maximum(d, -0.1), 0.1)),
    "scaled": (rules.scale(-2.5), lambda d: -2.5 * d),
    "reversed": (rules.reverse_gradient(0.3), lambda d: -0.3 * d),
}


@pytest.mark.parametrize("name", DELTAS)
def test_the_delta_at_a_place_is(name, framework, under_jit):
    function, formula = DELTAS[name]
    at = {PLACES[framework][1]: function}
    expected = {"at_a": (same, formula, same)}
    assert_gradient(framework, jax.nn.relu, ACTIVATIONS["relu"], relu_gate, under_jit, at=at, expected=expected)


def test_a_delta_of_half_precision_is_clipped_without_overflow():
    big = jnp.full(4, 1e4, jnp.float16)
    dx = bpjax.grad(lambda x: (bpjax.tag(x, "here") * big).sum(), at={"here": rules.clip_norm(np.float64(2.0))})(big)
    assert dx.dtype == jnp.float16
    np.testing.assert_allclose(dx, 1.0, rtol=1e-2)


def test_a_delta_within_the_norm_is_left_alone():
    dx = bpjax.grad(lambda x: bpjax.tag(x, "here") @ jnp.array([3.0, 4.0]), at={"here": rules.clip_norm(5.5)})(jnp.ones(2))
    np.testing.assert_array_equal(dx, [3.0, 4.0])


def test_a_delta_of_zero_stays_zero_when_its_norm_is_clipped():
    dx = bpjax.grad(lambda x: (bpjax.tag(x, "here") * 0).sum(), at={"here": rules.clip_norm(1.0)})(jnp.ones(3))
    np.testing.assert_array_equal(dx, 0)


def test_scale_and_reversal_may_follow_a_schedule():
    @jax.jit
    def gradient(x, lam):
        at = {"a": rules.scale(lam), "b": rules.reverse_gradient(lam), "c": rules.clip_value(lam)}
        return bpjax.grad(lambda x: bpjax.tag(bpjax.tag(bpjax.tag(x, "a"), "b"), "c") * 3, at=at)(x)

    for lam in (0.25, 0.5):
        np.testing.assert_allclose(gradient(1.0, lam), -(lam**3))


# ---- saliency, of the input ----


def test_the_guided_gradient_of_the_input_is_that_of_its_paper():
    apply, params, layers = of_bpjax(F.relu)
    x, _ = data()
    got = bpjax.grad(lambda x: apply(params, x)[:, 1].sum(), rules=rules.guided_backpropagation(F.relu))(x)
    (W1, b1), (W2, b2), (W3, _) = [tuple(map(np.asarray, layer)) for layer in layers(params)]
    a1 = x @ W1.T + b1
    a2 = np.maximum(a1, 0) @ W2.T + b2
    d2 = np.maximum(W3[1], 0) * (a2 > 0)
    d1 = np.maximum(d2 @ W2, 0) * (a1 > 0)
    np.testing.assert_allclose(got, d1 @ W1, rtol=1e-9)


def test_guided_back_propagation_of_another_activation_keeps_its_slope():
    x, v = normal(0, 9), normal(1, 9)
    dx = bpjax.grad(lambda x: F.leaky_relu(x, 0.2) @ v, rules=rules.guided_backpropagation("leaky_relu"))(x)
    np.testing.assert_allclose(dx, np.where(x > 0, 1, 0.2) * np.maximum(v, 0), rtol=1e-12)


# ---- wherever an equation may stand ----

AROUND = {
    "jit": lambda f: jax.jit(f),
    "checkpoint": lambda f: jax.checkpoint(f),
    "a checkpoint with a policy": lambda f: jax.checkpoint(f, policy=jax.checkpoint_policies.everything_saveable),
    "an inner vmap": lambda f: jax.vmap(f),
    "scan": lambda f: lambda x: lax.scan(lambda _, a: (None, f(a)), None, x)[1],
    "a checkpoint in a scan": lambda f: lambda x: lax.scan(jax.checkpoint(lambda _, a: (None, f(a))), None, x)[1],
    "cond": lambda f: lambda x: lax.cond(x[0, 0] < 99, f, lambda a: a, x),
}
ELEMENTWISE = {
    **{name: (make, JAX_ACTIVATIONS[kind], gate) for name, (make, kind, gate) in GATES.items()},
    "guided back-propagation of F.relu": (rules.guided_backpropagation, F.relu, GATES["guided back-propagation"][2]),
    "straight-through a primitive": (lambda: rules.straight_through("sign", "floor"), lambda x: jnp.floor(jnp.sign(x)), lambda a, d: d),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_activations_backward_holds_inside(name, around):
    make, activation, gate = ELEMENTWISE[name]
    x, v = normal(0, 3, 5), normal(1, 3, 5)
    wrapped = AROUND[around](activation)
    dx = bpjax.grad(lambda x: (wrapped(x) * v).sum(), rules=make())(x)
    np.testing.assert_allclose(dx, gate(np.asarray(x), np.asarray(v)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_activations_backward_holds_with_vmap_and_jit_outside(name):
    make, activation, gate = ELEMENTWISE[name]
    x, v = normal(0, 3, 5), normal(1, 3, 5)
    dx = jax.jit(jax.vmap(bpjax.grad(lambda x, v: (activation(x) * v).sum(), rules=make())))(x, v)
    np.testing.assert_allclose(dx, gate(np.asarray(x), np.asarray(v)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("around", ["jit", "checkpoint", "scan", "a checkpoint in a scan"])
def test_feedback_alignment_holds_inside(around):
    x, W, v = normal(0, 3, 5), normal(1, 4, 5), normal(2, 3, 4)
    wrapped = AROUND[around](lambda a: F.linear(a, W))
    dx = bpjax.grad(lambda x: (wrapped(x) * v).sum(), rules=rules.feedback_alignment(KEY))(x)
    np.testing.assert_allclose(dx, v @ nn_linear_init(jax.random.fold_in(KEY, 0), 4, 5), rtol=1e-9)


def test_feedback_alignment_holds_with_vmap_outside():
    x, W, v = normal(0, 3, 5), normal(1, 4, 5), normal(2, 3, 4)
    one = bpjax.grad(lambda x, W, v: F.linear(x, W) @ v, (0, 1), rules=rules.feedback_alignment(KEY))
    dx, dW = jax.vmap(one, (0, None, 0))(x, W, v)
    np.testing.assert_allclose(dx, v @ nn_linear_init(jax.random.fold_in(KEY, 0), 4, 5), rtol=1e-9)
    np.testing.assert_allclose(dW, v[:, :, None] * x[:, None, :], rtol=1e-9)


def test_direct_feedback_alignment_goes_into_a_scan_and_a_checkpoint():
    xs, w, v = normal(0, 3, 5), normal(1, 5), normal(2, 5, 2)

    def loss(w):
        def step(h, x):
            return bpjax.tag(jnp.tanh(h * w + x), "h"), None

        h, _ = lax.scan(jax.checkpoint(step), jnp.zeros(5), xs)
        return bpjax.tag(h @ v, "out").sum()

    at = rules.direct_feedback_alignment(KEY, "out", ["h"])
    h, dw = np.zeros((4, 5)), np.zeros(5)
    for i, x in enumerate(xs):
        h[i + 1] = np.tanh(h[i] * w + x)
        dw += np.ones(2) @ nn_linear_init(jax.random.fold_in(KEY, 0), 2, 5) * (1 - h[i + 1] ** 2) * h[i]
    for gradient in (bpjax.grad(loss, at=at), jax.jit(bpjax.grad(loss, at=at))):
        np.testing.assert_allclose(gradient(w), dw, rtol=1e-9)


# ---- the random matrices stay ----


def test_the_random_matrices_depend_on_the_key_alone():
    x, W, v = normal(0, 5), normal(1, 4, 5), normal(2, 4)

    def dx(key, W):
        return bpjax.grad(lambda x: F.linear(x, W) @ v, rules=rules.feedback_alignment(key))(x)

    np.testing.assert_array_equal(dx(KEY, W), dx(KEY, 2 * W))
    assert not np.allclose(dx(KEY, W), dx(jax.random.key(4), W))


def test_every_linear_map_has_a_random_matrix_of_its_own():
    x, v = normal(0, 5), normal(1, 5)
    once = bpjax.grad(lambda x: F.linear(x, jnp.eye(5)) @ v, rules=rules.feedback_alignment(KEY))(x)
    twice = bpjax.grad(lambda x: F.linear(F.linear(x, jnp.eye(5)), jnp.eye(5)) @ v, rules=rules.feedback_alignment(KEY))(x)
    first, second = (np.asarray(nn_linear_init(jax.random.fold_in(KEY, i), 5, 5)) for i in range(2))
    np.testing.assert_allclose(once, v @ first, rtol=1e-9)
    np.testing.assert_allclose(twice, v @ second @ first, rtol=1e-9)


def test_the_weights_own_gradient_is_the_true_one():
    x, W, b, v = normal(0, 3, 5), normal(1, 4, 5), normal(2, 4), normal(3, 3, 4)
    loss = lambda W, b: (F.linear(x, W, b) ** 2 * v).sum()
    for got, true in zip(bpjax.grad(loss, (0, 1), rules=rules.feedback_alignment(KEY))(W, b), jax.grad(loss, (0, 1))(W, b)):
        np.testing.assert_allclose(got, true, rtol=1e-9)


# ---- they learn ----


def descended(loss, params, steps, rate, **replaced):
    gradient = bpjax.grad(loss, **replaced)

    @jax.jit
    def train(params):
        def step(params, _):
            return jax.tree.map(lambda p, d: p - rate * d, params, gradient(params)), loss(params)

        return lax.scan(step, params, None, length=steps)

    return train(params)


def teacher_and_student():
    x = normal(0, 64, SIZES[0])
    t = jnp.tanh(x @ normal(1, SIZES[0], 8)) @ normal(2, 8, SIZES[-1]) / 2
    apply, params, _ = of_bpjax(jnp.tanh)
    return lambda params: 0.5 * jnp.mean(jnp.sum((apply(params, x) - t) ** 2, -1)), params


def angles(loss, params, places, **replaced):
    """In degrees, between the deltas with and without what is replaced."""
    found = []
    for place in places:
        a, b = (np.ravel(bpjax.backprop(loss, **how)(params).deltas[place]) for how in (replaced, {}))
        found.append(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))
    return found


def test_feedback_alignment_learns_and_its_deltas_align():
    loss, params = teacher_and_student()
    replaced = {"rules": rules.feedback_alignment(KEY)}
    trained, losses = descended(loss, params, 400, 0.2, **replaced)
    assert losses[-1] < 0.2 * losses[0]
    before, after = (angles(loss, p, ["fc1", "fc2"], **replaced) for p in (params, trained))
    assert max(before) > 90
    assert max(after) < 75


def test_direct_feedback_alignment_learns():
    loss, params = teacher_and_student()
    _, losses = descended(loss, params, 400, 0.2, at=rules.direct_feedback_alignment(KEY, "fc3", ["h1", "h2"]))
    assert losses[-1] < 0.1 * losses[0]


def test_the_straight_through_gradient_of_sign_units_is_the_perceptron_rule_and_learns():
    x = normal(0, 32, 4)
    code = jnp.sign(x @ normal(1, 4, 6))

    def loss(W):
        return 0.5 * jnp.sum((jnp.sign(x @ W) - code) ** 2)

    W, how = normal(2, 4, 6), {"rules": rules.straight_through("sign")}
    np.testing.assert_allclose(bpjax.grad(loss, **how)(W), x.T @ (jnp.sign(x @ W) - code), rtol=1e-12)
    np.testing.assert_array_equal(bpjax.grad(loss)(W), 0)
    trained, _ = descended(loss, W, 400, 0.1, **how)
    np.testing.assert_array_equal(jnp.sign(x @ trained), code)


def test_spiking_neurons_learn_when_to_fire():
    spikes_in = (normal(0, 20, 12) > 0).astype(jnp.float64)
    target = jnp.zeros(20).at[jnp.array([4, 9, 15])].set(1)

    def fired(w):
        def step(v, s):
            v = 0.8 * v + s @ w
            out = spike(v - 1)
            return v - out, out

        return lax.scan(step, 0.0, spikes_in)[1]

    w = normal(1, 12) / 4
    assert np.any(fired(w) != target)
    trained, losses = descended(lambda w: jnp.mean((fired(w) - target) ** 2), w, 400, 0.3, rules=rules.surrogate_gradient("spike"))
    np.testing.assert_array_equal(fired(trained), target)


# ---- nothing else changes ----


def traced(f, params):
    leaves, tree = jax.tree.flatten(params)
    program, consts = jaxprs.trace(lambda *leaves: f(jax.tree.unflatten(tree, leaves)), *leaves)
    return program, [*consts, *leaves], [False] * len(consts) + [True] * len(leaves)


def met(program, values, active, *, rules=None, at=None):
    """Every record of a sweep, those inside loops too, in the order of the sweep."""

    class Met(Hook):
        def observe(self, record, dys, dxs):
            return ()

    with hooked(*replacements(rules, at), Met()) as findings:
        (value,), tape = run(program, values, active)
        sweep(tape, [jnp.ones_like(value)])
    return [finding.record for finding in findings]


def label(record):
    """An op or a place by its name, all else by its primitive."""
    op = op_of(record.rule)
    return op.__name__ if op else record.eqn.params.get("name", record.eqn.primitive.name)


def net_loss(params):
    x, t = data()
    return squared_error(of_bpjax(F.relu)[0], x, t)(params)


def looped_loss(W):
    def step(h, _):
        return bpjax.tag(jnp.tanh(F.relu(F.linear(h, W))), "h1"), None

    return (bpjax.tag(lax.scan(step, normal(0, 2, 5), None, length=3)[0], "h2") ** 2).sum()


PROGRAMS = {"a perceptron": (net_loss, lambda: of_bpjax(F.relu)[1]), "a scan": (looped_loss, lambda: normal(5, 5, 5))}
MEANT = {
    "guided back-propagation": ({"rules": rules.guided_backpropagation()}, {"relu"}),
    "deconvolution": ({"rules": rules.deconvolution(F.relu)}, {"relu"}),
    "feedback alignment": ({"rules": rules.feedback_alignment(KEY)}, {"linear"}),
    "direct feedback alignment": ({"at": rules.direct_feedback_alignment(KEY, "h2", ["h1"])}, {"h1", "h2"}),
    "a clipped delta": ({"at": {"h1": rules.clip_norm(1.0)}}, {"h1"}),
    "nothing": ({}, set()),
}


@pytest.mark.parametrize("name", MEANT)
@pytest.mark.parametrize("where", PROGRAMS)
def test_every_other_equation_keeps_its_rule(name, where):
    f, params = PROGRAMS[where]
    replaced, meant = MEANT[name]
    program = traced(f, params())
    plain, changed = met(*program), met(*program, **replaced)
    assert [r.eqn for r in plain] == [r.eqn for r in changed]
    assert [r.active for r in plain] == [r.active for r in changed]
    assert [label(r) for r, c in zip(plain, changed) if r.rule is not c.rule] == [label(r) for r in plain if label(r) in meant]
    assert meant <= {label(r) for r in plain}


def test_what_depends_on_a_step_alone_is_swept_too_and_nothing_more():
    program = traced(lambda x: (jnp.tanh(x) * jnp.sin(jnp.round(jnp.exp(x)))).sum(), normal(0, 3))
    plain, changed = ({r.eqn: r for r in met(*program, **how)} for how in ({}, {"rules": rules.straight_through("round")}))
    assert sorted(label(r) for eqn, r in changed.items() if eqn not in plain) == ["round", "sin"]
    assert all(r.rule is changed[eqn].rule for eqn, r in plain.items())


def test_no_call_leaves_a_rule_behind():
    x, v = normal(0, 9), normal(1, 9)
    loss = lambda x: (F.relu(x) * jnp.round(x) * v).sum()
    before = bpjax.grad(loss)(x)
    bpjax.grad(loss, rules=rules.deconvolution() | rules.straight_through("round"))(x)
    np.testing.assert_array_equal(bpjax.grad(loss)(x), before)


# ---- errors ----


@pytest.mark.parametrize("make, near", [
    (lambda: rules.straight_through("rond"), "'rond'. Near it: round"),
    (lambda: rules.feedback_alignment(KEY, "linaer"), "'linaer'. Near it: linear"),
    (lambda: rules.guided_backpropagation("rellu"), "'rellu'. Near it: relu"),
    (lambda: rules.surrogate_gradient("spikes"), "'spikes'. Near it: spike"),
])  # fmt: skip
def test_an_unknown_name_is_an_error_that_lists_near_ones(make, near):
    with pytest.raises(ValueError, match=near):
        bpjax.grad(lambda x: (F.linear(F.relu(x), jnp.eye(3)) + jnp.round(x) + spike(x)).sum(), rules=make())(jnp.ones(3))


def test_an_unknown_place_is_an_error_that_lists_near_ones():
    _, params, _ = of_bpjax(F.relu)
    with pytest.raises(ValueError, match="no place is named 'fc9'. Near it: fc"):
        bpjax.grad(net_loss, at={"fc9": rules.scale(2.0)})(params)


BAD = {
    "clip_norm: c must be positive": lambda: rules.clip_norm(-1.0),
    "clip_norm: c must be positive, got nan": lambda: rules.clip_norm(np.nan),
    "clip_value: c must be positive": lambda: rules.clip_value(0.0),
    "reverse_gradient: λ must not be negative": lambda: rules.reverse_gradient(-0.1),
    "surrogate_gradient: β must not be negative": lambda: rules.surrogate_gradient("spike", beta=-1),
    "hidden must list places .* got 'fc1'": lambda: rules.direct_feedback_alignment(KEY, "fc3", "fc1"),
    "hidden must list places .* got .'fc1', 'fc3'": lambda: rules.direct_feedback_alignment(KEY, "fc3", ["fc1", "fc3"]),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_argument_is_refused_at_once(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


@pytest.mark.parametrize("make", [rules.feedback_alignment, lambda key: rules.direct_feedback_alignment(key, "o", ["h"])])
def test_what_is_no_key_is_refused_at_once(make):
    with pytest.raises(TypeError, match="feedback_alignment: key must be one such as jax.random.key"):
        make(0)
    make(jax.random.PRNGKey(0))


def test_a_weight_that_the_equation_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"weight=2, but the equation .*test_rules.py.* has 2 inputs"):
        bpjax.grad(lambda x: F.linear(x, jnp.eye(3)).sum(), rules=rules.feedback_alignment(KEY, weight=2))(jnp.ones(3))


def test_a_hidden_place_without_the_outputs_delta_is_an_error():
    loss = lambda x: bpjax.tag(bpjax.tag(x, "output") * 2, "hidden").sum()
    with pytest.raises(ValueError, match="'hidden' is met with no delta of the output 'output'"):
        bpjax.grad(loss, at=rules.direct_feedback_alignment(KEY, "output", ["hidden"]))(jnp.ones(3))


def test_a_hidden_place_that_is_met_twice_is_an_error():
    loss = lambda x: bpjax.tag(bpjax.tag(bpjax.tag(x, "hidden") * 2, "hidden") * 2, "output").sum()
    with pytest.raises(ValueError, match="a hidden place be met once"):
        bpjax.grad(loss, at=rules.direct_feedback_alignment(KEY, "output", ["hidden"]))(jnp.ones(3))


def test_a_hidden_place_of_another_batch_is_an_error():
    loss = lambda x: bpjax.tag(bpjax.tag(x, "hidden").sum(0), "output").sum()
    with pytest.raises(ValueError, match=r"'hidden' has shape \(4, 3\), 'output' \(3,\): leading axes differ"):
        bpjax.grad(loss, at=rules.direct_feedback_alignment(KEY, "output", ["hidden"]))(jnp.ones((4, 3)))


def test_direct_feedback_alignment_holds_no_tracer_between_calls():
    _, params, _ = of_bpjax(F.relu)
    at = rules.direct_feedback_alignment(KEY, "fc3", ["h1", "h2"])
    with jax.checking_leaks():
        first = jax.jit(bpjax.grad(net_loss, at=at))(params)
        again = jax.jit(bpjax.grad(net_loss, at=at))(params)
    jax.tree.map(np.testing.assert_array_equal, first, again)
