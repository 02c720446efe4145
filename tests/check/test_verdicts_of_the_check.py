"""What the check says of programs that resist it: each verdict, each note, each way in."""

import functools
import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend import core
from jax.interpreters import ad, mlir

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.check import progress
from bpjax.engine import RULES
from bpjax.engine.rule import PrimitiveRule

x = jnp.arange(1.0, 5.0) / 3


def verdicts(report):
    return {leaf.verdict for leaf in report.leaves}


# ---- right programs that were once accused, or that no check could enter ----


class Net(nn.Module):
    def __init__(self, norm=False):
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(36, 10)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.norm(self.conv(x))), 2).reshape(len(x), -1))


images = np.random.default_rng(0).uniform(size=(8, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("norm", [False, True])
def test_pooling_and_batch_norm_with_images_closed_over(norm):
    net = Net(norm)
    loss = lambda p: F.cross_entropy(net.apply(p, images, buffers=net.init_buffers(), train=True)[0], np.arange(8))
    report = bpjax.check_gradients(loss, net.init(jax.random.key(0))).assert_ok()
    assert "judged in float64" in report.head


def test_noise_drawn_in_the_loss():
    key = jax.random.key(0)

    def loss(w):
        mean, log_variance = w[:2], w[2:]
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, (2,))
        return jnp.sum(z**2) - 0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance))

    assert bpjax.check_gradients(loss, x).assert_ok().leaves[0].error < 1e-12


def test_an_integer_in_a_carry():
    step = lambda c, a: ((c[0] * jnp.sum(a), c[1] + 1), c[1])
    loss = lambda w: lax.scan(step, (jnp.float32(1), jnp.argmax(jnp.ones(3))), w.reshape(2, 2))[0][0]
    bpjax.check_gradients(loss, x).assert_ok()


def test_a_gradient_below_the_rounding_of_what_it_is_made_of():
    report = bpjax.check_gradients(lambda z: F.cross_entropy(z, jnp.array([0])), jnp.array([[40.0, 0.0, 0.0]])).assert_ok()
    assert report.leaves[0].note == "zero to rounding"


@pytest.mark.parametrize(
    "draw",
    [
        lambda w: w * jax.random.gamma(jax.random.key(0), 2.0, (4,)),
        lambda w: w * jax.pure_callback(lambda v: np.asarray(2 * v, np.float32), jax.ShapeDtypeStruct((4,), jnp.float32), jnp.ones(4)),
        lambda w: w * lax.map(lambda k: jax.random.gamma(k, 2.0), jax.random.split(jax.random.key(0), 4)),
        lambda w: lax.scan(lambda c, k: (c * w + jax.random.gamma(k, 2.0), None), w, jax.random.split(jax.random.key(0), 3))[0],
        lambda w: w * (lax.bitcast_convert_type(w, jnp.int32) % 7),
        lambda w: lax.scan(lambda c, a: ((c * a).astype(jnp.bfloat16), None), jnp.bfloat16(0.5), w.astype(jnp.bfloat16))[0],
        lambda w: lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * w[i], w[0]),
        lambda w: w[: int(jnp.sum(jnp.array([1, 1, 0])))],
        lambda w: jnp.where(jnp.isinf(jnp.exp(100 * w)), w**3, w),
        lambda w: 100 * (w - w.astype(jnp.bfloat16).astype(jnp.float32)),
        lambda w: F.softmax(w.astype(jnp.float16), -1)[0],
    ],
    ids=["gamma", "callback", "gamma mapped", "gamma in a scan", "bits of floats", "a bfloat16 carry", "a loop", "a length", "overflow",
         "rounding", "float16"],
)  # fmt: skip
def test_what_resists_widening_is_judged_all_the_same(draw):
    bpjax.check_gradients(lambda w: jnp.sum(draw(w).astype(jnp.float32) * jnp.cos(1.0)), x).assert_ok()


def test_what_ran_in_its_own_types_is_listed():
    keys = jax.random.split(jax.random.key(0), 3)
    report = bpjax.check_gradients(lambda w: lax.scan(lambda c, k: (c * w[0] + jax.random.gamma(k, 2.0), None), 1.0, keys)[0], x)
    assert report.ok and "run in their own types: random_gamma" in str(report)


def test_a_loss_about_overflow_is_judged_in_its_own_types():
    report = bpjax.check_gradients(lambda w: jnp.sum(jnp.where(jnp.isinf(jnp.exp(100 * w)), w**3, w)), x).assert_ok()
    assert "judged in float32" in report.head and "a function of rounding" in str(report)


def test_a_primitive_of_another_library_over_data():
    mystery = core.Primitive("mystery")
    mystery.def_impl(lambda x: 2 * x)
    mystery.def_abstract_eval(lambda a: a)
    mlir.register_lowering(mystery, mlir.lower_fun(lambda x: 2 * x, multiple_results=False))
    ad.deflinear2(mystery, lambda ct, x: [mystery.bind(ct)])
    bpjax.check_gradients(lambda w: jnp.sum(w * mystery.bind(jnp.ones(4))), x).assert_ok()
    report = bpjax.check_gradients(lambda w: jnp.sum(mystery.bind(w)), x).assert_ok()
    assert "borrowed from JAX, and so held against itself: 'mystery'" in str(report)


def test_the_choice_among_equals_is_no_mistake():
    equal = np.repeat(np.float32([1.0, 2.0]), 8).reshape(1, 1, 4, 4)
    bpjax.check_gradients(
        lambda z: lax.reduce_window(z, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 1, 1), "VALID"), equal, numeric=False
    ).assert_ok()


def test_where_the_compiler_errs_the_hand_written_gradient_is_not_accused():
    """XLA:CPU of jaxlib 0.10.2 computes jax.grad of this recurrent network wrongly in float64."""

    def cell(h, a, w):
        r, z, n = jnp.split(a @ w["x"].T + w["b"], 3, axis=-1)
        hr, hz, hn = (p.T for p in jnp.split(w["h"] @ h.T, 3))
        r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
        n = jnp.tanh(n + r * hn)
        return n + z * (h - n), None

    rng = np.random.default_rng(0)
    w = {k: rng.normal(size=s).astype(np.float32) / 2 for k, s in (("x", (15, 3)), ("h", (15, 5)), ("b", (15,)))}
    xs = rng.normal(size=(6, 4, 3)).astype(np.float32)
    loss = lambda w: jnp.sum(jnp.sin(lax.scan(lambda h, a: cell(h, a, w), jnp.zeros((4, 5)), xs)[0]))
    bpjax.check_gradients(loss, w).assert_ok()


# ---- what is not ok ----


def test_nan_is_not_ok_and_names_find_nan():
    report = bpjax.check_gradients(lambda z: jnp.linalg.norm(z) ** 2, jnp.zeros(3))
    assert not report.ok and verdicts(report) == {"not finite"} and "find_nan" in str(report)
    report = bpjax.check_gradients(lambda z: jnp.sum(jnp.log(-z)), x)
    assert not report.ok and "the value itself" in str(report)


@jax.custom_vjp
def tripled(z):
    return z * z


tripled.defvjp(lambda z: (z * z, z), lambda z, dy: (3 * z * dy,))


@jax.custom_jvp
def doubled(z):
    return jnp.sin(z)


doubled.defjvp(lambda p, t: (jnp.sin(p[0]), 2 * jnp.cos(p[0]) * t[0]))

AROUND = {
    "plain": lambda f: f,
    "bfloat16": lambda f: lambda w: f(w.astype(jnp.bfloat16)).astype(jnp.float32),
    "a scan": lambda f: lambda w: lax.scan(lambda c, a: (c + f(a), None), 0 * w[0], w)[0],
    "checkpoint": jax.checkpoint,
    "vmap": jax.vmap,
    "cond": lambda f: lambda w: lax.cond(w[0] > 0, f, jnp.cos, w),
    "data closed over": lambda f: lambda w: f(w * jnp.asarray([1.0, 2.0, 3.0, 4.0])),
}


@pytest.mark.parametrize("rule", [tripled, doubled], ids=["custom_vjp", "custom_jvp"])
@pytest.mark.parametrize("around", AROUND)
def test_a_wrong_custom_rule_is_found_and_blamed(rule, around):
    report = bpjax.check_gradients(lambda w: jnp.sum(AROUND[around](rule)(w)), x)
    name = rule.__name__
    assert verdicts(report) == {"WRONG"} and f"the rule of {name}" in report.leaves[0].note
    assert report.blame[0].rule == name and "test_verdicts_of_the_check.py" in report.blame[0].source


def test_a_rule_that_drops_its_cotangent_is_not_zero_in_truth():
    @jax.custom_vjp
    def dropped(z):
        return z * z

    dropped.defvjp(lambda z: (z * z, z), lambda z, dy: (0 * dy,))
    loss = lambda w: jnp.sum(dropped(w))
    assert verdicts(bpjax.check_gradients(loss, x)) == {"WRONG"}
    assert verdicts(bpjax.check_gradients(loss, x, numeric=False)) == {"not judged"}


def test_two_derivatives_that_agree_and_are_wrong_are_no_tie(monkeypatch):
    wrong = core.Primitive("thrice")
    wrong.def_impl(lambda z: z * z)
    wrong.def_abstract_eval(lambda a: a)
    mlir.register_lowering(wrong, mlir.lower_fun(lambda z: z * z, multiple_results=False))
    ad.defjvp(wrong, lambda t, z: 3 * z * t)
    monkeypatch.setitem(RULES, "thrice", PrimitiveRule("thrice", lambda eq, dy: eq.x[0] * (3 * dy), "x"))
    report = bpjax.check_gradients(lambda w: jnp.sum(wrong.bind(jnp.sin(w)) * jnp.exp(w)), x)
    assert "both derivatives are wrong" in report.leaves[0].note


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("seconds, is_watched", [(0, True), (0, False), (1000, True)])
def test_a_bar_where_it_takes_long_and_somebody_looks_on(seconds, is_watched, monkeypatch):
    screen = Screen() if is_watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "SECONDS", seconds)
    bpjax.check_gradients(lambda w: jnp.sum(w**2), x).assert_ok()
    stages = [stage for stage in progress.STAGES if f"bpjax.check_gradients: {stage} " in screen.getvalue()]
    assert stages == (list(progress.STAGES) if is_watched and seconds == 0 else [])


def test_a_check_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    bpjax.check_gradients(lambda w: jnp.sum(w**2), x).assert_ok()


@pytest.mark.parametrize("steps", [100, 1000])
def test_jumps_are_no_slope(steps):
    bpjax.check_gradients(lambda w: jnp.sum(jnp.round(steps * w) * w), x).assert_ok()
    bpjax.check_gradients(lambda w: jnp.sum(jnp.floor(steps * w)), x).assert_ok()


@pytest.mark.parametrize("numeric", [True, False])
def test_a_gradient_of_nothing_but_rounding(numeric):
    report = bpjax.check_gradients(lambda w: jnp.sum(F.softmax(w, dim=-1)), jax.random.normal(jax.random.key(0), (5, 7)), numeric=numeric)
    assert verdicts(report) == {"ok"} and report.leaves[0].note.startswith("zero")
    assert report.notes == []


def test_a_custom_rule_that_no_oracle_can_judge_is_not_called_ok():
    report = bpjax.check_gradients(lambda w: jnp.sum(tripled(w)), x, numeric=False)
    assert verdicts(report) == {"not judged"} and not report.ok
    with pytest.raises(AssertionError, match="tripled"):
        report.assert_ok()


def test_custom_rules_are_asked_for_what_is_differentiated_alone():
    """Libraries raise where an argument that they hold fixed is differentiated, and keep flags of Python's for the way back."""

    @functools.partial(jax.custom_jvp)
    def scaled(z, factor):
        return z * factor

    def scaled_jvp(primals, tangents):
        assert type(tangents[1]) is SymbolicZero, "the factor is fixed"
        return scaled(*primals), tangents[0] * primals[1]

    scaled.defjvp(scaled_jvp, symbolic_zeros=True)

    @jax.custom_vjp
    def powered(z, shift):
        return z**3 + shift

    def forward(z, shift):
        assert not shift.perturbed, "the shift is fixed"
        return z.value**3 + shift.value, (z.value, True, np.float32(3))

    def backward(kept, dy):
        z, is_cube, factor = kept
        return (dy * factor * z**2 if is_cube else dy), None

    powered.defvjp(forward, backward, symbolic_zeros=True)
    fixed = jnp.arange(x.size, dtype=x.dtype).reshape(x.shape)
    f = lambda w: jnp.sum(powered(scaled(jnp.sin(w), jnp.cos(fixed)), fixed))
    bpjax.check_gradients(f, x).assert_ok()


def test_a_right_custom_rule_is_judged_by_its_plain_function():
    @jax.custom_vjp
    def square(z):
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, dy: (2 * z * dy,))
    bpjax.check_gradients(lambda w: jnp.sum(square(w)), x, numeric=False).assert_ok()


def test_a_rule_that_returns_another_type_is_a_finding():
    @jax.custom_vjp
    def square(z):
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, dy: (2 * z.astype(jnp.float32) * dy.astype(jnp.float32),))
    report = bpjax.check_custom_vjp(square, jnp.ones(3, jnp.bfloat16))
    assert not report.ok and "returned dtype float32 for input 0; expected bfloat16" in report.findings[0]


@pytest.mark.parametrize("missing", ["forward", "backward", "both"])
def test_half_an_op_is_an_error_that_names_the_missing_half(missing):
    @bpjax.op
    def square(z):
        return z * z

    if missing == "backward":
        square.def_forward(lambda z: (z * z, {"z": z}))
    if missing == "forward":
        square.def_backward(lambda saved, dy: (dy,))
    named = "forward" if missing == "both" else missing
    for use in (bpjax.grad(square), lambda z: bpjax.check_gradients(square, z), bpjax.grad(lambda z: jax.vmap(square)(z * x).sum())):
        with pytest.raises(bpjax.RuleError, match=f"op square has no {named}"):
            use(3.0)
    assert float(jax.grad(square)(3.0)) == 6.0


# ---- what is meant ----


def test_stop_gradient_differs_on_purpose_and_finite_differences_still_judge():
    straight_through = lambda w: jnp.sum(w + lax.stop_gradient(jnp.round(w) - w)) ** 2
    report = bpjax.check_gradients(straight_through, x + 0.1).assert_ok()
    assert "on purpose" in report.leaves[0].note and "test_verdicts_of_the_check.py" in str(report)
    wrong = bpjax.check_gradients(lambda w: straight_through(w) + jnp.sum(tripled(w)), x + 0.1)
    assert verdicts(wrong) == {"WRONG"}


def test_a_custom_rule_that_means_it():
    @jax.custom_vjp
    def reverse(z):
        return z

    reverse.defvjp(lambda z: (z, None), lambda _, dy: (-dy,))
    loss = lambda w: jnp.sum(reverse(jnp.sin(w)))
    assert verdicts(bpjax.check_gradients(loss, x)) == {"WRONG"}
    report = bpjax.check_gradients(loss, x, intended=[reverse]).assert_ok()
    assert "intended by reverse" in str(report)


# ---- ways in ----


def test_keywords_are_passed_on_and_not_differentiated():
    f = lambda w, train: jnp.sum(w) * (2.0 if train else 1.0)
    report = bpjax.check_gradients(f, x, train=True).assert_ok()
    assert report.leaves[0].norm == pytest.approx(4.0) and len(report.leaves) == 1


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def power(z, n):
    return z**n


power.defvjp(lambda z, n: (z**n, z), lambda n, z, dy: (n * z ** (n - 1) * dy,))


@pytest.mark.parametrize(
    "wrapped",
    [functools.partial(power, n=3), functools.partial(jax.jit(power, static_argnums=1), n=3)],
    ids=["partial", "jit"],
)
def test_wrappers_are_looked_through(wrapped):
    bpjax.check_custom_vjp(wrapped, x).assert_ok()
    bpjax.check_custom_vjp(power, x, n=2).assert_ok()


def test_x64_stays_as_it_was():
    assert bpjax.check_gradients(lambda w: jnp.sum(w**2), x).ok and not jax.config.jax_enable_x64
    with jax.enable_x64(True):
        assert "arguments float64" in bpjax.check_gradients(lambda w: jnp.sum(w**2), jnp.arange(3.0)).head
