"""find_nan names the equation, its module, file and line, and the values that went in."""

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

key = jax.random.key(0)
x = jnp.array([0.0, 1.0, 2.0])


class Net(nn.Module):
    """`between` stands after fc1."""

    def __init__(self, between):
        self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)
        self.between = between

    def forward(self, x):
        return self.fc2(self.between(self.fc1(x)))


def of_net(between, loss=jnp.sum):
    model = Net(between)
    params = model.init(key)
    return lambda params: loss(model.apply(params, jnp.ones((5, 3)))), params


class Perceptron(nnx.Module):
    def __init__(self, between, rngs):
        self.first, self.second, self.between = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs), between

    def __call__(self, x):
        return self.second(self.between(self.first(x)))


def of_flax(between):
    graph, params, rest = nnx.split(Perceptron(between, nnx.Rngs(0)), nnx.Param, ...)
    return lambda params: nnx.merge(graph, params, rest, copy=True)(jnp.ones((5, 3))).sum(), params


def of_equinox(activation):
    params, static = eqx.partition(eqx.nn.MLP(3, 2, 4, 2, activation=activation, key=key), eqx.is_inexact_array)
    return lambda params: jax.vmap(eqx.combine(params, static))(jnp.ones((5, 3))).sum(), params


def scanned(w, xs):
    return lax.scan(lambda h, x: (h * w - x, jnp.log(h)), 1.0, xs)[1].sum()


def checkpointed(x):
    return jax.checkpoint(lambda x: jnp.log(x - 1))(x).sum()


def branched(x):
    return lax.cond(x.sum() > 0, lambda x: jnp.sqrt(-x), lambda x: x, x).sum()


@jax.custom_jvp
def my_function(x):
    return x / (x - 1)


my_function.defjvp(lambda primals, tangents: (my_function(*primals), tangents[0]))


@jax.custom_vjp
def wrong_backward(x):
    return x


wrong_backward.defvjp(lambda x: (x, x), lambda x, dy: (dy / x,))


@bpjax.op
def half(x):
    return x / 2


half.def_forward(lambda x: (x / 2, {"x": x}))
half.def_backward(lambda saved, dy: (dy * 0.5 * saved["x"] / saved["x"],))

FEATURE = jnp.log(x)
spoiling = jnp.ones(2), {"u": jnp.array([[1.0, -jnp.inf], [2.0, 3.0]])}
WRITING = ("_where", "select_n", "convert_element_type", "broadcast_in_dim")

nan_params = {"fc": {"w": jnp.array([1.0, jnp.nan])}}

# what is planted: the function and its arguments; direction, equation, module
CASES = {
    "log of zero": (lambda x: jnp.log(x).sum(), (x,), "forward", "log", ""),
    "zero over zero": (lambda x: (x / x).sum(), (x,), "forward", "div", ""),
    "a square root at 0, in the backward only": (lambda x: jnp.sqrt(x).sum(), (x,), "backward", "sqrt", ""),
    "a norm at 0, in the backward only": (lambda x: jnp.linalg.norm(0 * x), (x,), "backward", "sqrt", ""),
    "a power below 1 at 0": (lambda x: (x**0.5).sum(), (x,), "backward", ("pow", "sqrt"), ""),
    "0/0 hidden by where": (lambda x: jnp.where(x > 0, x / x, 0.0).sum(), (x,), "backward", "div", ""),
    "log(0) hidden by where": (lambda x: jnp.where(x > 0, jnp.log(x), 0.0).sum(), (x,), "backward", "log", ""),
    "overflow in float16": (lambda x: (x.astype(jnp.float16) * 60000).sum(), (x,), "forward", "mul", ""),
    "overflow of exp": (lambda x: jnp.exp(100 * x).sum(), (x,), "forward", "exp", ""),
    "inf - inf": (lambda x: (jnp.exp(100 * x) - jnp.exp(100 * x)).sum(), (x,), "forward", "exp", ""),
    "a row that is masked whole": (lambda x: jax.nn.softmax(jnp.where(x > 5, x, -jnp.inf)).sum(), (x,), "forward", "sub", ""),
    "inside a scan": (scanned, (0.5, jnp.array([0.0, 0.0, 0.25, 0.0])), "forward", "log", ""),
    "under jit": (jax.jit(lambda x: jax.jit(jnp.log)(x).sum()), (x,), "forward", "log", ""),
    "inside a checkpoint": (checkpointed, (x,), "forward", "log", ""),
    "in the branch that is taken": (branched, (x,), "forward", "sqrt", ""),
    "in a function with a jvp of its own": (lambda x: my_function(x).sum(), (x,), "forward", "my_function", ""),
    "in a backward that the user wrote": (lambda x: wrong_backward(x).sum(), (x,), "backward", "wrong_backward", ""),
    "in the backward of a user's op": (lambda x: half(x).sum(), (x,), "backward", "half", ""),
    "in a module": (*of_net(lambda h: jnp.log(h - h)), "forward", "log", "after fc1"),
    "in a module's backward": (*of_net(lambda h: jnp.sqrt(h - h)), "backward", "sqrt", "after fc1"),
    "in the loss": (*of_net(F.relu, lambda y: jnp.log(0 * y).sum()), "forward", "log", "after fc2"),
    "in an op of bpjax": (*of_net(F.relu, lambda y: F.mse_loss(y, 1e30 + 0 * y)), "forward", "F.mse_loss", "after fc2"),
    "in a Flax model": (*of_flax(lambda h: jnp.log(h - h)), "forward", "log", "after first"),
    "in a Flax model's backward": (*of_flax(lambda h: jnp.sqrt(h - h)), "backward", "sqrt", "after first"),
    "in an Equinox model": (*of_equinox(lambda h: h / (h - h)), "forward", "div", "after layers.0"),
    "in an Equinox model's backward": (*of_equinox(lambda h: jnp.sqrt(h - h)), "backward", "sqrt", "after layers.1"),
    "a parameter that is NaN already": (lambda p: p["fc"]["w"].sum(), (nan_params,), "input", "fc.w", ""),
    "a feature of log(0) among the data": (lambda w, feature: ((feature * w) ** 2).mean(), (x, jnp.log(x)), "input", "feature", ""),
    "a feature of log(0) that is closed over": (lambda w: ((FEATURE * w) ** 2).mean(), (x,), "input", "FEATURE", ""),
    "a feature of log(0) that spoils the gradient alone": (
        lambda w, data: jnp.tanh(data["u"] @ w).sum(),
        (*spoiling,),
        "input",
        "data.u",
        "",
    ),
    "an infinite target": (lambda w, target: jnp.abs(w - target).max(), (x, jnp.array([0, jnp.inf, 0])), "input", "target", ""),
    "an infinity that is the value": (lambda w, extra: jnp.maximum(w.sum(), extra), (x, jnp.array(jnp.inf)), "input", "extra", ""),
    "an infinite feature, subtracted from itself": (lambda w, u: (w * (u - u.max())).sum(), (x, -jnp.log(x)), "input", "u", ""),
    "an infinite feature in a scan": (lambda w, u: lax.scan(lambda h, r: (h + r * w, r), w, u)[0].sum(), (x, jnp.log(x)), "input", "u", ""),
    "a parameter that is infinite": (
        lambda p: (p["fc"]["w"] ** 2).sum(),
        ({"fc": {"w": jnp.array([1.0, -jnp.inf])}},),
        "input",
        "fc.w",
        "",
    ),
    "a mask that came in and covers a row": (lambda x, b: jax.nn.softmax(x + b).sum(), (x, jnp.full(3, -jnp.inf)), "input", "b", ""),
    "an infinity that the program writes into its value": (lambda x: jnp.where(x > 1, x, jnp.inf).sum(), (x,), "forward", WRITING, ""),
    "data that is NaN already": (lambda w, batch: (w * batch).sum(), (x, x / x), "input", "batch", ""),
}


def one_layer_of_bpjax():
    layer = nn.Linear(3, 2)
    return lambda params: layer.apply(params, jnp.ones((5, 3))), layer.init(key)


def one_layer_of_equinox():
    params, static = eqx.partition(eqx.nn.Linear(3, 2, key=key), eqx.is_inexact_array)
    return lambda params: jax.vmap(eqx.combine(params, static))(jnp.ones((5, 3))), params


def one_layer_of_flax():
    graph, params, rest = nnx.split(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param, ...)
    return lambda params: nnx.merge(graph, params, rest, copy=True)(jnp.ones((5, 3))), params


ONE_LAYER = {
    "bpjax": one_layer_of_bpjax,
    "Equinox": one_layer_of_equinox,
    "Flax": one_layer_of_flax,
    "a dict": lambda: (lambda p: jnp.ones((5, 3)) @ p["w"] + p["b"], {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}),
    "a list": lambda: (lambda p: jnp.ones((5, 3)) @ p[0] + p[1], [jnp.ones((3, 2)), jnp.ones(2)]),
    "a parameter beside modules": lambda: (lambda p: p["fc"]["w"] * p["scale"], {"fc": {"w": jnp.ones(2)}, "scale": jnp.ones(2)}),
}


@pytest.mark.parametrize("broken", [lambda y: jnp.log(0 * y).sum(), lambda y: jnp.sqrt(y - y).sum()], ids=["forward", "backward"])
@pytest.mark.parametrize("name", ONE_LAYER)
def test_the_names_of_a_root_s_own_parameters_stand_for_no_module(name, broken):
    predict, params = ONE_LAYER[name]()
    report = bpjax.find_nan(lambda p: broken(predict(p)), params)
    assert report.module == "" and "module" not in str(report)
    rows = bpjax.explain(lambda p: predict(p).sum(), params).steps[0]["update"]
    assert [row["module"] for row in rows if "." not in row["weight"].removesuffix(".value")] == [""] * (1 if "beside" in name else 2)


@pytest.mark.parametrize("name", CASES)
def test_find_nan_is_right_on(name):
    f, args, direction, equation, module = CASES[name]
    report = bpjax.find_nan(f, *(args if isinstance(args, tuple) else (args,)))
    assert report.direction == direction and report.module == module, report
    assert report.equation in (equation if isinstance(equation, tuple) else (equation,)), report
    assert report.values and report.equation in str(report)
    if direction != "input":
        assert "test_nonfinite.py:" in report.line or "/jax/" not in report.line, report


def test_an_infinity_that_is_dropped_on_the_way_back_is_not_blamed():
    def f(x):
        a = jnp.where(x > 0, x / x, 0.0)
        b = jnp.sqrt(jnp.where(x > 5, x, 0.0))  # an infinite slope, times the 0 of a branch not taken
        return a.sum() + b.sum()

    assert bpjax.find_nan(f, x).equation == "div"


def test_the_line_is_that_of_the_users_code():
    def f(x):
        y = x * 2
        return jnp.log(y).sum()

    line = f.__code__.co_firstlineno + 2
    assert bpjax.find_nan(f, x).line.endswith(f"test_nonfinite.py:{line}")


def test_the_values_are_those_that_went_in():
    report = bpjax.find_nan(lambda x: (3.0 / x).sum(), x)
    assert [np.asarray(v).tolist() for v in report.values.values()][:2] == [3.0, x.tolist()]
    assert "input 1, x = float32[3] [0., 1., 2.]" in str(report)


def test_the_step_of_a_scan_is_named():
    assert bpjax.find_nan(scanned, 0.5, jnp.array([0.0, 0.0, 0.25, 0.0])).step == (3,)


def test_of_an_infinity_that_came_in_its_place_is_told_and_what_it_spoils():
    data = jnp.ones((40, 3)).at[17, 2].set(-jnp.inf)
    report = bpjax.find_nan(lambda w, data: ((data @ w) ** 2).mean(), x, data)
    assert "data holds an infinity before the function begins" in str(report) and "-inf at (17, 2)" in str(report)
    assert "the value of the function is not finite already" in report.note and "test_nonfinite.py:" in report.line
    report = bpjax.find_nan(lambda w, data: jnp.tanh(data * w).sum(), x, data)
    assert "backward pass of mul" in report.note


def test_a_large_array_is_told_by_its_range_and_first_bad_place():
    report = bpjax.find_nan(lambda x: jnp.log(x).sum(), jnp.arange(100.0).reshape(10, 10))
    assert "from 0 to 99" in str(report) and "1 not finite, the first at (0, 0): -inf" in str(report)


def test_a_hidden_forward_value_is_told_beside_its_backward():
    assert "hidden" in bpjax.find_nan(*CASES["0/0 hidden by where"][:1], x).note


MASK = jnp.array([0.0, -jnp.inf, 0.0])
FINE = {
    "a finite function": lambda x: jnp.tanh(x).sum(),
    "a mask of -inf that is closed over": lambda x: jax.nn.softmax(x + MASK).sum(),
    "an infinite bound": lambda x: jnp.clip(x, -jnp.inf, jnp.array(jnp.inf)).sum(),
    "a mask of -inf": lambda x: jax.nn.softmax(jnp.where(x > 0.5, x, -jnp.inf)).sum(),
    "log hidden by a double where": lambda x: jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0).sum(),
    "NaN in what is not returned": lambda x: (jnp.log(-1 - x), x.sum())[1],
}


@pytest.mark.parametrize("name", FINE)
def test_nothing_is_found_in(name):
    report = bpjax.find_nan(FINE[name], x)
    assert not report and "no NaN" in str(report)


def test_an_argument_without_floats_is_one_clear_error():
    with pytest.raises(TypeError, match="no floating array"):
        bpjax.find_nan(lambda n: n, jnp.arange(3))


def test_a_random_key_among_the_values_is_no_trouble():
    report = bpjax.find_nan(lambda x, k: jnp.log(x * jax.random.normal(k, (3,)) ** 2).sum(), x, key)
    assert report.equation == "log"


def test_traced_arguments_are_one_clear_error():
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(lambda x: bpjax.find_nan(jnp.sum, x).equation)(x)
