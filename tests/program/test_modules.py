"""To which module values belong, read off the parameters alone, and where its places are."""

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
from bpjax.engine import run
from bpjax.program import jaxprs
from bpjax.program.modules import Modules, leaf_name, owners
from bpjax.program.straight import inlined
from bpjax.program.unrolled import unrolled

key = jax.random.key(0)
data = jax.random.normal(key, (5, 4))


def traced(f, params):
    """The inlined program of f(params), its inputs, and its modules."""
    flat, tree = jax.tree_util.tree_flatten_with_path([params])
    prog, consts = jaxprs.trace(lambda *leaves: f(*jax.tree.unflatten(tree, leaves)), *(x for _, x in flat))
    prog = inlined(prog)
    of = zip(prog.invars[len(consts) :], owners([path for path, _ in flat], (0,)))
    return prog, [*consts, *(x for _, x in flat)], Modules(prog, dict(of))


def places(f, params):
    """(kind, module) in the order of the forward pass, also inside scans, and what the marked program gives."""
    prog, inputs, modules = traced(f, params)
    marked, meaning = modules.with_borders()
    met = [meaning[e.params["name"]] for e in jaxprs.every_equation_of(marked) if e.primitive.name == "name"]
    return [tuple(place) for place in met], run(marked, inputs)[0]


CHAIN = [("entry", "a"), ("output", "a"), ("exit", "a"), ("entry", "b"), ("output", "b")]


def plain(p):
    return (jax.nn.relu(data @ p["a"]["w"] + p["a"]["b"]) @ p["b"]["w"]).sum()


PLAIN = {"a": {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}, "b": {"w": jnp.ones((3, 2))}}


class Net(nn.Module):
    def __init__(self):
        self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.b(F.relu(self.a(x)))


class Flax(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b = nnx.Linear(4, 3, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return self.b(nnx.relu(self.a(x)))


class Equinox(eqx.Module):
    a: eqx.nn.Linear
    b: eqx.nn.Linear

    def __init__(self):
        self.a, self.b = eqx.nn.Linear(4, 3, key=key), eqx.nn.Linear(3, 2, key=key)

    def __call__(self, x):
        return self.b(jax.nn.relu(self.a(x)))


def of_bpjax():
    model = Net()
    return lambda p: model.apply(p, data).sum(), model.init(key)


def of_flax():
    graph, params, rest = nnx.split(Flax(nnx.Rngs(0)), nnx.Param, ...)
    return lambda p: nnx.merge(graph, p, rest, copy=True)(data).sum(), params


def of_equinox():
    params, static = eqx.partition(Equinox(), eqx.is_inexact_array)
    return lambda p: jax.vmap(eqx.combine(p, static))(data).sum(), params


@pytest.mark.parametrize("make", [of_bpjax, of_flax, of_equinox, lambda: (plain, PLAIN)], ids=["bpjax", "Flax", "Equinox", "plain"])
def test_a_chain_of_two_modules_has_the_same_places_in_every_framework(make):
    f, params = make()
    found, (value,) = places(f, params)
    assert found == CHAIN
    np.testing.assert_allclose(value, f(params), rtol=1e-6)


def test_a_regulariser_does_not_make_the_loss_part_of_a_module():
    prog, _, modules = traced(lambda p: plain(p) + 0.1 * sum(jnp.sum(w**2) for w in jax.tree.leaves(p)), PLAIN)
    assert modules.program is prog
    assert [v.aval.shape for v in modules.own_outputs()] == [(5, 3), (5, 2)]


def test_constants_that_the_function_makes_itself_are_data():
    found, _ = places(lambda p: (jnp.ones((2, 4)) @ p["a"]["w"] @ p["b"]["w"]).sum(), PLAIN)
    assert ("output", "a") in found and ("exit", "a") in found


def test_a_residual_belongs_to_the_module_that_it_goes_around():
    params = {"a": {"w": jnp.ones((4, 4))}, "b": {"w": jnp.ones((4, 4))}, "c": {"w": jnp.ones((4, 4))}}

    def f(p):
        h = data @ p["a"]["w"]
        h = h + jnp.tanh(h @ p["b"]["w"])
        return (h @ p["c"]["w"]).sum()

    found, _ = places(f, params)
    assert found.count(("entry", "b")) == 1 and found.count(("exit", "a")) == 1  # both ways read the one exit, through the one entry


def test_a_shared_weight_is_met_twice():
    params = {"embed": {"w": jnp.ones((4, 3))}, "mid": {"w": jnp.ones((3, 3))}}
    found, _ = places(lambda p: (jnp.tanh(data @ p["embed"]["w"] @ p["mid"]["w"]) @ p["embed"]["w"].T).sum(), params)
    assert found.count(("output", "embed")) == 2 and found.count(("entry", "embed")) == 2


def test_places_inside_a_scan_of_several_modules():
    params = {"a": {"w": jnp.eye(4)}, "b": {"w": jnp.eye(4)}}

    def f(p):
        def step(h, x):
            h = jnp.tanh(h @ p["a"]["w"] + x)
            return h, h @ p["b"]["w"]

        return lax.scan(step, jnp.zeros(4), data)[1].sum()

    found, (value,) = places(f, params)
    assert {("output", "a"), ("exit", "a"), ("entry", "b"), ("output", "b")} <= set(found)
    np.testing.assert_allclose(value, f(params), rtol=1e-6)


def test_a_scan_of_one_module_is_one_equation_of_it():
    f = lambda p: lax.scan(lambda h, x: (jnp.tanh(h @ p["cell"]["w"] + x),) * 2, jnp.zeros(4), data)[1].sum()
    found, _ = places(f, {"cell": {"w": jnp.eye(4)}})
    assert found.count(("output", "cell")) >= 1 and ("exit", "cell") not in found


def test_names_of_leaves_and_owners():
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path([{"enc": [{"w": 1.0}]}])]
    assert leaf_name(paths[0]) == "enc.0.w" and owners(paths, (0,)) == ["enc.0"]
    beside = [path for path, _ in jax.tree_util.tree_leaves_with_path([{"w": 1.0}, 2.0])]
    assert owners(beside, (0, 1)) == ["argument 0", None]


CONTROL = {
    "a scan": lambda x: lax.scan(lambda h, x: (jnp.tanh(h + x), h * x), x[0], x)[1].sum(),
    "a reversed scan": lambda x: lax.scan(lambda h, x: (jnp.tanh(h + x), h * x), x[0], x, reverse=True)[1].sum(),
    "a scan of no steps": lambda x: lax.scan(lambda h, x: (h + x, h), x[0], x[:0])[0].sum(),
    "a scan without inputs": lambda x: lax.scan(lambda h, _: (jnp.sin(h), None), x, length=3)[0].sum(),
    "scans in scans": lambda x: lax.scan(lambda h, r: (lax.scan(lambda g, s: (g * s, None), h, r)[0], h), 1.0, x)[0],
    "a branch": lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x).sum(),
    "a switch": lambda x: lax.switch(jnp.argmax(x[0]), [jnp.sin, jnp.cos, jnp.tanh, jnp.exp], x).sum(),
    "a checkpoint": lambda x: jax.checkpoint(lambda x: jnp.sin(jnp.sin(x)))(x).sum(),
    "a while over data": lambda x: x.sum() * lax.while_loop(lambda n: n < 5, lambda n: n + 1, 0),
    "calls in calls": jax.jit(lambda x: jax.jit(jax.nn.silu)(x).sum()),
}


@pytest.mark.parametrize("name", CONTROL)
def test_unrolled_gives_the_value_and_the_gradient_of(name):
    f = CONTROL[name]
    prog, consts = jaxprs.trace(f, data)
    line = unrolled(prog, [*consts, data])
    names = {e.primitive.name for e in line.program.eqns}
    assert not names & {"scan", "cond", "jit", "remat2", "checkpoint"}
    outputs, tape = run(line.program, [*consts, data], [False] * len(consts) + [True])
    np.testing.assert_allclose(outputs[0], f(data), rtol=1e-6)
    (dx,) = bpjax.engine.sweep(tape, [jnp.ones(())])[len(consts) :]
    np.testing.assert_allclose(dx, jax.grad(f)(data), rtol=1e-5, atol=1e-6)
