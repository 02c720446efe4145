"""explain in the terminal: every number of the article, every rule with its formula, and what bad input says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.models.digits import MODELS
from examples import worked_example, xor

RIGHT = {
    "a1": 0.21, "a2": 0.315, "y3": 0.552308, "y4": 0.578105, "a3": 0.685987, "y5": 0.665074, "error": -0.165074, "delta5": -0.036770,
    "delta3": -0.002728, "delta4": -0.008071, "new w23": 0.878743, "new w13": 0.279691, "new w11": 0.199045, "new w12": 0.297175,
    "new w21": 0.198091, "new w22": 0.294350, "then y3": 0.551895, "then y4": 0.576899, "then y5": 0.659554, "then error": -0.159554,
}  # fmt: skip
key = jax.random.key(0)


@pytest.fixture(scope="module")
def article():
    with jax.enable_x64(True):
        return bpjax.explain(worked_example.loss, *worked_example.example_args(), has_aux=True, learning_rate=1.0)


@pytest.mark.parametrize("name", RIGHT)
def test_the_articles_network_gives_the_right(name, article):
    before, after = str(article).split("== after 1 step(s)")
    part = after if name.startswith("then") else before
    if name.startswith("delta"):
        part = part.split("backward")[1].split("update")[0]
    elif name.startswith("new"):
        part = part.split("update")[1]
    assert f"{RIGHT[name]:.6f}" in part


def test_each_delta_comes_with_its_rule_and_formula(article):
    rows = {row["delta"]: (row["module"], row["rule"], row["formula"]) for row in article.steps[0]["backward"]}
    assert rows["d v3"] == ("after output", "F.sigmoid", "dx = y (1 - y) dy")
    assert rows["d output.weight"][:2] == ("output", "F.linear") and "dW = dyᵀ x" in rows["d output.weight"][2]
    assert rows["d v5"][2] == "dx = n xⁿ⁻¹ dy"


def test_the_drawing_has_the_articles_units_and_weights(article):
    hidden, output = article.steps[0]["network"]["layers"]
    assert (hidden["name"], hidden["activation"], output["name"]) == ("hidden", "sigmoid", "output")
    np.testing.assert_allclose(hidden["sum"], [[0.21, 0.315]])
    np.testing.assert_allclose(output["delta"], [[0.036770]], atol=5e-7)
    np.testing.assert_allclose(hidden["new_weight"], [[0.199045, 0.198091], [0.297175, 0.294350]], atol=5e-7)


def test_the_modules_table_has_saved_bytes_and_gain(article):
    assert [row["module"] for row in article.modules] == ["hidden", "output"]
    assert article.modules[0]["saved, hand"] == "16 B" and "gain" in str(article)


def test_several_steps_are_those_of_gradient_descent(x64):
    w, x = jnp.array([0.5, -1.0]), jnp.array([1.0, 2.0])
    f = lambda w: jnp.sum((jnp.tanh(w) - x) ** 2)
    explanation = bpjax.explain(f, w, learning_rate=0.3, steps=4)
    for step in explanation.steps[:-1]:
        assert step["loss"] == f"{f(w):.6f}"
        w = w - 0.3 * jax.grad(f)(w)
        assert step["update"][0]["new"] == "[" + ", ".join(f"{v:.6f}" for v in w) + "]"


def test_a_value_used_twice_has_a_row_for_the_sum():
    rows = bpjax.explain(lambda w: jnp.tanh(w) * w, jnp.array(0.5)).steps[0]["backward"]
    assert [row["rule"] for row in rows] == ["mul", "mul", "tanh", "sum"]


def test_large_arrays_are_summarised():
    model = MODELS["mlp"]()
    params = model.init(key)
    x, y = jax.random.normal(key, (16, 8, 8)), jnp.arange(16) % 10
    explanation = bpjax.explain(lambda p, x: F.cross_entropy(model.apply(p, x), y), params, x)
    text = str(explanation)
    assert "[16, 128] mean" in text and "% zeros" in text and max(map(len, text.splitlines())) < 280
    assert explanation.steps[0]["network"] is None
    assert "linear(v1, fc1.weight" in text and "reshape(x)" in text


def test_numbers_that_are_not_finite_are_counted():
    text = str(bpjax.explain(lambda w: jnp.sum(jnp.log(w)), jnp.arange(20.0)))
    assert "1 not finite" in text


class Flax(nnx.Module):
    def __init__(self, rngs):
        self.fc1, self.fc2 = nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        return self.fc2(nnx.tanh(self.fc1(x)))


def of_flax():
    graph, params, rest = nnx.split(Flax(nnx.Rngs(0)), nnx.Param, ...)
    return (lambda p, x: nnx.merge(graph, p, rest, copy=True)(x).sum()), params, ["fc1", "fc2"]


def of_equinox():
    params, static = eqx.partition(eqx.nn.MLP(2, 1, 3, 1, activation=jnp.tanh, key=key), eqx.is_inexact_array)
    return (lambda p, x: jax.vmap(eqx.combine(p, static))(x).sum()), params, ["layers.0", "layers.1"]


@pytest.mark.parametrize("make", [of_flax, of_equinox], ids=["Flax", "Equinox"])
def test_an_untouched_model_is_drawn_with_its_deltas(make):
    f, params, names = make()
    x = jnp.array([[0.5, -1.0], [1.0, 2.0], [0.0, 1.0]])
    explanation = bpjax.explain(f, params, x)
    layers = explanation.steps[0]["network"]["layers"]
    assert [layer["name"] for layer in layers] == names and layers[0]["activation"] == "tanh"
    a, w = np.array(layers[0]["sum"]), np.array(layers[0]["weight"])
    np.testing.assert_allclose(a, x @ w.T + np.array(layers[0]["bias"]), rtol=1e-5, atol=1e-6)
    w2 = np.array(layers[1]["weight"])
    np.testing.assert_allclose(layers[0]["delta"], (np.array(layers[1]["delta"]) @ w2) * (1 - np.tanh(a) ** 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layers[0]["gradient"], np.array(layers[0]["delta"]).T @ x, rtol=1e-5, atol=1e-6)


class Xor(nn.Module):
    def __init__(self):
        self.hidden, self.output = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return F.sigmoid(self.output(F.sigmoid(self.hidden(x))))


def test_xor_is_drawn_with_all_four_examples():
    model = Xor()
    x, y = jnp.array(xor.X, float), jnp.array(xor.Y, float)
    explanation = bpjax.explain(lambda p: jnp.sum((model.apply(p, x) - y) ** 2) / 2, model.init(key), steps=3)
    for step in explanation.steps:
        assert step["network"]["input"] == xor.X and len(step["network"]["layers"][0]["bias"]) == 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bpjax.explain(lambda w: w, jnp.ones(3)), "scalar loss, but <lambda> returned"),
        (lambda: bpjax.explain(jnp.sum, jnp.ones(3), learning_rate=0.0), "must be positive"),
        (lambda: bpjax.explain(jnp.sum, jnp.ones(3), steps=0), "must be positive"),
    ],
    ids=["no scalar", "a learning rate of 0", "no steps"],
)
def test_bad_input_is_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


class Attention(nnx.Module):
    def __init__(self, rngs):
        self.norm, self.fc1, self.fc2 = nnx.LayerNorm(8, rngs=rngs), nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x):
        return self.fc2(nnx.gelu(self.fc1(self.dropout(self.norm(x + self.attention(x))))))


def large_flax():
    graph, params, rest = nnx.split(Attention(nnx.Rngs(0)), nnx.Param, ...)
    return lambda p: (nnx.merge(graph, p, rest, copy=True)(jnp.ones((2, 5, 8))) ** 2).mean(), params


def in_a_scan():
    step = lambda w: lambda h, _: (jnp.tanh(h @ w), h.sum())
    return lambda p: jax.lax.scan(step(p["cell"]["w"]), jnp.ones(3), None, 200)[1].mean(), {"cell": {"w": jnp.eye(3)}}


def deep():
    return lambda p: sum(jnp.sum(jnp.tanh(layer["w"]) @ jnp.ones(2)) for layer in p.values()), {
        f"m{i}": {"w": jnp.ones(2)} for i in range(90)
    }


LONG = {"a Flax model": (large_flax, 1), "a scan": (in_a_scan, 1), "many modules": (deep, 1), "many steps": (lambda: of_tanh, 60)}
of_tanh = (lambda w: jnp.tanh(w) ** 2, jnp.array(0.5))


@pytest.mark.parametrize("name", LONG)
def test_the_text_is_a_page_at_most_and_whole_on_demand(name, tmp_path):
    make, steps = LONG[name]
    f, params = make()
    explanation = bpjax.explain(f, params, steps=steps)
    lines = str(explanation).splitlines()
    assert len(lines) <= 66 and "full=True" in lines[-1] and any("forward" in line for line in lines)
    assert len(explanation.text(full=True).splitlines()) > 66 and explanation.steps[-1]["loss"] in str(explanation)
    page = explanation.save(tmp_path / "page.html").read_text()
    assert all(row["numbers"].replace("<", "\\u003c") in page for row in explanation.steps[0]["forward"])


def test_full_is_asked_of_explain():
    short, full = (bpjax.explain(*of_tanh, steps=60, full=full) for full in (False, True))
    assert str(full) == short.text(full=True) and len(str(full)) > 5 * len(str(short))
