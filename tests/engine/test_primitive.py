"""A call of an op is one equation of a primitive: what every transformation of JAX makes of it, and what it remembers."""

import importlib
import re
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.ad_checkpoint import print_saved_residuals

import bpjax
import bpjax.functional as F
from bpjax.engine import after
from bpjax.program import jaxprs
from bpjax.program.straight import inlined

x = jnp.linspace(-1.0, 2.0, 12).reshape(3, 4)
W = jnp.linspace(-1.0, 1.2, 20).reshape(5, 4)


@bpjax.op
def cubed(x):
    return x**3


CALLS = []


@cubed.def_forward
def _(x):
    CALLS.append("forward")
    return x**3, {"x": x}


@cubed.def_backward
def _(saved, dy):
    CALLS.append("backward")
    return (3 * saved["x"] ** 2 * dy,)


@bpjax.op(static=("power",))
def drawn(x, key, shift, weight=None, power=2):
    """A key, integers, an argument that may be None; two results, one of them of integers."""
    u = jax.random.uniform(key, x.shape)
    y = u * x**power if weight is None else u * x**power * weight
    return {"y": y, "index": jnp.argmax(y) + shift}


@drawn.def_forward
def _(x, key, shift, weight, power):
    saved = {"x": x, "u": jax.random.uniform(key, x.shape), "weight": weight, "power": power}
    return drawn.formula(x, key, shift, weight, power), saved


@drawn.def_backward
def _(saved, dy):
    x, n, w = saved["x"], saved["power"], saved["weight"]
    d = dy["y"] * saved["u"]
    dx = d * n * x ** (n - 1)
    return dx if w is None else dx * w, None, None, None if w is None else jnp.sum(d * x**n)


def assert_alike(a, b, tolerance=1e-5):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert left.shape == right.shape and left.dtype == right.dtype
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance * max(1.0, float(jnp.max(jnp.abs(right), initial=0))))


def hand_is_auto(f, *args, argnums=0):
    assert_alike(bpjax.grad(f, argnums)(*args), jax.grad(f, argnums)(*args))
    assert_alike(jax.jit(bpjax.grad(f, argnums))(*args), jax.jit(jax.grad(f, argnums))(*args))


# ---- under the transformations of JAX ----


def test_the_written_halves_are_run_and_only_by_hand():
    CALLS.clear()
    jax.clear_caches()
    jax.grad(lambda x: cubed(x).sum())(x)
    assert CALLS == []
    bpjax.grad(lambda x: cubed(x).sum())(x)
    assert CALLS == ["forward", "backward"]


def test_each_half_is_traced_once_for_each_signature():
    CALLS.clear()
    jax.clear_caches()
    bpjax.grad(lambda x: cubed(cubed(cubed(x))).sum())(x)
    jax.jit(bpjax.grad(lambda x: cubed(x).sum()))(x)
    assert CALLS == ["forward", "backward"]
    bpjax.grad(lambda x: cubed(x).sum())(x[0])
    assert CALLS == ["forward", "backward"] * 2


@pytest.mark.parametrize("weight", [None, 1.5])
def test_keys_integers_none_and_several_results(weight):
    f = lambda x: jnp.sum(drawn(x, jax.random.key(0), jnp.int32(3), weight)["y"] ** 2)
    hand_is_auto(f, x)
    assert int(drawn(x, jax.random.key(0), jnp.int32(3))["index"]) >= 3


def test_a_weight_that_is_a_number_is_differentiated():
    hand_is_auto(lambda x, w: jnp.sum(drawn(x, jax.random.key(0), 0, w)["y"]), x, 2.0, argnums=(0, 1))


def test_hessian():
    f = lambda x: jnp.sum(F.softplus(x) * cubed(x))
    assert_alike(jax.jacfwd(bpjax.grad(f))(x[0]), jax.hessian(f)(x[0]), 1e-4)
    assert_alike(jax.jacrev(bpjax.grad(f))(x[0]), jax.hessian(f)(x[0]), 1e-4)
    twice = lambda grad: grad(lambda x: jnp.sum(jnp.sin(grad(f)(x))))(x)
    assert_alike(twice(bpjax.grad), twice(jax.grad), 1e-4)


def test_in_scan_cond_and_checkpoint():
    step = lambda c, a: (cubed(jnp.sin(c)) + a, F.gelu(c))
    hand_is_auto(lambda x: jnp.sum(lax.scan(step, x[0], x)[1] ** 2), x)
    hand_is_auto(lambda x: jnp.sum(lax.cond(x[0, 0] > 0, cubed, F.gelu, x)), x)
    hand_is_auto(lambda x: jnp.sum(jax.checkpoint(lambda x: F.gelu(cubed(x)))(x)), x)


def test_checkpoint_policies_see_the_formulas_dots(capsys):
    block = lambda x, W: jnp.sum(F.gelu(F.linear(x, W)))
    X, V = jnp.ones((64, 32)), jnp.ones((16, 32))
    print_saved_residuals(jax.checkpoint(block, policy=jax.checkpoint_policies.dots_saveable), X, V)
    assert "dot_general" in capsys.readouterr().out
    hand_is_auto(jax.checkpoint(block, policy=jax.checkpoint_policies.dots_saveable), X, V, argnums=(0, 1))


def test_transposed_in_somebodys_tangent_function():
    @jax.custom_jvp
    def scaled(x, w):
        return F.linear(x, w)

    scaled.defjvp(lambda primals, tangents: (scaled(*primals), F.linear(tangents[0], primals[1]) + F.linear(primals[0], tangents[1])))
    f = lambda x, w: jnp.sum(scaled(x, w) ** 2)
    assert_alike(jax.grad(f, (0, 1))(x, W), jax.grad(lambda x, w: jnp.sum((x @ w.T) ** 2), (0, 1))(x, W))
    hand_is_auto(f, x, W, argnums=(0, 1))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_lowered_for_a_platform_that_is_not_there(platform):
    text = jax.jit(bpjax.grad(lambda x: jnp.sum(F.gelu(F.linear(x, W))))).trace(x).lower(lowering_platforms=(platform,)).as_text()
    assert "func.call" in text or "call @" in text


def test_exported_with_a_symbolic_batch():
    (b,) = export.symbolic_shape("b")
    arguments = jax.ShapeDtypeStruct((b, 4), jnp.float32)
    f = lambda x: jnp.sum(F.gelu(F.linear(x, W)) ** 2)
    assert_alike(export.export(jax.jit(f))(arguments).call(x), f(x))
    assert_alike(export.export(jax.jit(bpjax.grad(f)))(arguments).call(x), jax.grad(f)(x))


def test_a_donated_argument():
    f = jax.jit(lambda x: F.gelu(x), donate_argnums=0)
    assert_alike(f(x + 0), F.gelu(x))


def test_weak_types_are_those_of_the_formula():
    assert jax.typeof(cubed(2.0)).weak_type and not jax.typeof(cubed(jnp.float32(2.0))).weak_type
    assert cubed(jnp.ones(2, jnp.bfloat16) * cubed(2.0)).dtype == jnp.bfloat16


def test_the_op_stands_in_the_profile_under_its_module():
    def f(x):
        with jax.named_scope("encoder"):
            return jnp.sum(F.softmax(x, -1) ** 2)

    names = set(re.findall(r'op_name="([^"]*)"', jax.jit(bpjax.grad(f)).lower(x).compile().as_text()))
    assert any(n.endswith("encoder/softmax_forward/exp") for n in names) and any("encoder/softmax_backward/" in n for n in names)


# ---- effects ----


def test_an_effect_of_an_op_that_nobody_uses_survives(capsys):
    @bpjax.op
    def noisy(x):
        jax.debug.print("met {}", x)
        return x

    jax.block_until_ready(jax.jit(lambda x: (noisy(x), x + 1)[1])(1.0))
    jax.effects_barrier()
    assert "met 1.0" in capsys.readouterr().out


# ---- vmap ----


def test_under_vmap_the_written_halves_are_mapped():
    CALLS.clear()
    jax.clear_caches()
    hand_is_auto(lambda x: jnp.sum(jax.vmap(jax.vmap(cubed), in_axes=1, out_axes=1)(x)), x)
    assert CALLS == ["forward", "backward"]


def test_vmap_with_the_name_of_an_axis():
    @bpjax.op
    def centred(x):
        return jnp.tanh(x - lax.pmean(x.mean(), "batch"))

    centred.def_forward(lambda x: (centred.formula(x), {"y": centred.formula(x)}))

    @centred.def_backward
    def _(saved, dy):
        d = dy * (1 - saved["y"] ** 2)
        return (d - lax.pmean(d.mean(), "batch"),)

    def f(x):
        return jnp.sum(jax.vmap(centred, axis_name="batch")(x) ** 2)

    assert_alike(bpjax.grad(f)(x), jax.grad(lambda x: jnp.sum(jnp.tanh(x - x.mean()) ** 2))(x))


def test_the_name_of_an_axis_can_be_all_that_an_op_depends_on():
    @bpjax.op
    def numbered(x):
        return x * 0 + lax.axis_index("batch")

    y = jax.vmap(lambda _: numbered(1.0), axis_name="batch")(jnp.ones(3))
    assert y.tolist() == [0, 1, 2]


def test_where_an_unmapped_argument_is_differentiated_the_formula_is_swept():
    CALLS.clear()
    jax.clear_caches()
    f = lambda w, x: jnp.sum(jax.vmap(lambda a: drawn(a, jax.random.key(0), 0, w)["y"])(x))
    hand_is_auto(f, jnp.float32(2.0), x)
    hand_is_auto(f, jnp.float32(2.0), x, argnums=(0, 1))


MAPPED = {
    "linear": (lambda x, w, b: F.linear(x, w, b), (8, 6, 4), [(5, 4), (5,)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), (8, 6, 4), [(4,), (4,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w), (8, 6, 4), [(4,)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), (8, 2, 4, 3), [(4,), (4,)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), (8, 2, 3, 6, 6), [(4, 3, 3, 3), (4,)]),
    "conv_transpose1d": (lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2), (8, 2, 3, 6), [(3, 4, 2), (4,)]),
    "prelu": (lambda x, w: F.prelu(x, w), (8, 2, 4, 3), [(4,)]),
    "bilinear": (lambda x, w, b: F.bilinear(x, x, w, b), (8, 6, 4), [(5, 4, 4), (5,)]),
}


@pytest.mark.parametrize("name", MAPPED)
def test_unmapped_weights_get_one_gradient_and_no_more_bytes_than_jax_grad(name):
    f, of_input, of_weights = MAPPED[name]
    draw = np.random.default_rng(0).standard_normal
    xs, weights = jnp.asarray(draw(of_input), jnp.float32), [jnp.asarray(draw(s), jnp.float32) for s in of_weights]
    loss = lambda xs, weights: jnp.sum(jax.vmap(lambda x: f(x, *weights))(xs) ** 2)
    hand_is_auto(loss, xs, weights, argnums=(0, 1))
    large = jax.ShapeDtypeStruct((1024, *of_input[1:]), jnp.float32)
    hand, auto = (jax.jit(g(loss, (0, 1))).lower(large, weights).compile().memory_analysis() for g in (bpjax.grad, jax.grad))
    assert hand.temp_size_in_bytes <= 1.02 * auto.temp_size_in_bytes + 4096


def test_an_embedding_under_vmap_makes_one_table_of_gradients():
    indices, table = jnp.arange(12).reshape(3, 4) % 7, jnp.ones((5000, 8))
    loss = lambda table: jnp.sum(jax.vmap(lambda i: F.embedding(i, table))(indices) ** 2)
    hand_is_auto(loss, table)
    assert jax.jit(bpjax.grad(loss)).lower(table).compile().memory_analysis().temp_size_in_bytes < 1.5 * table.nbytes


# ---- several devices ----


@pytest.fixture
def mesh():
    if len(jax.devices()) < 8:
        pytest.skip("eight devices")
    mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Explicit,))
    with jax.set_mesh(mesh):
        yield mesh


@pytest.mark.parametrize("f", [F.gelu, F.relu, lambda x: F.layer_norm(x, (4,)), lambda x: F.linear(x, W), lambda x: F.softmax(x, -1)])
def test_on_an_explicit_mesh(mesh, f):
    xs = jax.device_put(np.random.default_rng(0).standard_normal((16, 4), np.float32), jax.NamedSharding(mesh, jax.P("d")))
    loss = lambda x: jnp.sum(f(x) ** 2)
    hand, auto = jax.jit(bpjax.grad(loss))(xs), jax.jit(jax.grad(loss))(xs)
    assert jax.typeof(hand) == jax.typeof(auto)
    assert_alike(hand, auto)


def test_inside_and_around_shard_map(mesh):
    xs = jax.device_put(jnp.linspace(-1.0, 1.0, 64).reshape(16, 4), jax.NamedSharding(mesh, jax.P("d")))
    split = lambda f: jax.shard_map(f, mesh=mesh, in_specs=jax.P("d"), out_specs=jax.P("d"))
    loss = lambda x: jnp.sum(F.silu(x) ** 2)  # (JAX 0.12 cannot lower the derivative of erf there, its own either)
    expected = jax.grad(loss)(np.asarray(xs))
    assert_alike(split(bpjax.grad(loss))(xs), expected)
    assert_alike(jax.grad(lambda x: jnp.sum(split(F.silu)(x) ** 2))(xs), expected)


# ---- what is set around a call ----


def test_a_matmul_precision_set_inside_holds_in_the_formula_and_in_both_halves():
    def f(x, W):
        with jax.default_matmul_precision("highest"):
            return jnp.sum(F.linear(x, W) ** 2)

    big = jnp.ones((64, 64)), jnp.ones((64, 64))
    for grad in (bpjax.grad, jax.grad):
        dots = [e for e in jaxprs.every_equation(jax.make_jaxpr(grad(f, (0, 1)))(*big)) if e.primitive.name == "dot_general"]
        assert len(dots) >= 3 and all(e.params["precision"] == (lax.Precision.HIGHEST,) * 2 for e in dots)
    plain = [e for e in jaxprs.every_equation(jax.make_jaxpr(F.linear)(*big)) if e.primitive.name == "dot_general"]
    assert all(e.params["precision"] is None for e in plain)


def test_x64_turned_on_inside():
    def f(x):
        with jax.enable_x64(True):
            y = F.gelu(x.astype(jnp.float64) * 2)
            return jnp.sum(y * F.tanh(y)).astype(jnp.float32)

    hand_is_auto(f, x)


def test_a_mesh_set_inside(mesh):
    with jax.set_mesh(jax.make_mesh((1,), ("other",))):
        before = F.gelu(x)
    xs = jax.device_put(jnp.ones((16, 4)), jax.NamedSharding(mesh, jax.P("d")))
    with jax.set_mesh(mesh):
        assert jax.typeof(F.gelu(xs)).sharding.spec == jax.P("d", None)
    assert before.shape == x.shape


# ---- what an op closes over ----


def closing_over(value):
    @bpjax.op
    def times(w):
        return w * value

    times.def_forward(lambda w: (w * value, {}))
    times.def_backward(lambda saved, dy: (dy * value,))
    return times


def test_an_op_may_close_over_values_of_the_trace_around_the_gradient():
    f = jax.jit(lambda x: bpjax.grad(lambda w, times=closing_over(jnp.sum(x)): jnp.sum(times(w)))(x))
    np.testing.assert_allclose(f(x), jnp.full_like(x, x.sum()))


def test_an_op_that_closes_over_what_is_differentiated_is_an_error():
    with pytest.raises(bpjax.RuleError, match="op times .*closes over a value that is differentiated.* Make it an argument"):
        bpjax.grad(lambda x: jnp.sum(closing_over(jnp.sum(x))(x)))(x)


def test_an_op_that_closes_over_a_value_of_the_function_around_it_is_an_error():
    with pytest.raises(bpjax.RuleError, match="op times .*closes over a value that was computed.* Make it an argument"):
        bpjax.grad(lambda w: jnp.sum(closing_over(jnp.sum(x))(w)))(x)
    assert jax.grad(lambda w: jnp.sum(closing_over(jnp.sum(x))(w)))(x).shape == x.shape


# ---- what it remembers ----


def test_a_thousand_static_arguments_are_not_kept_for_ever():
    calls = importlib.import_module("bpjax.engine.op")._calls
    for i in range(calls.size + 50):
        jax.eval_shape(lambda x, i=i: drawn(x, jax.random.key(0), 0, power=i), x)
    assert len(calls) == calls.size


def test_shapes_are_not_kept_for_ever():
    call = cubed._call({}, jax.tree.structure([0]))
    for n in range(1, call._formulas.size + 50):
        jax.eval_shape(cubed, jax.ShapeDtypeStruct((n,), jnp.float32))
    assert len(call._formulas) == call._formulas.size


def test_two_threads_do_not_disturb_each_other():
    """10,000 calls: each thread's gradients are the written ones, of its own settings."""
    wrong = []

    def work(x64):
        with jax.enable_x64(x64):
            data = jnp.linspace(-1.0, 1.0, 4, dtype=jnp.float64 if x64 else jnp.float32)
            for i in range(5000):
                power = i % 7 + 1
                jaxpr = jax.make_jaxpr(bpjax.grad(lambda x: jnp.sum(drawn(x, jax.random.key(0), 0, power=power)["y"])))(data)
                heads = [e.params["call"].name for e in jaxpr.eqns if e.primitive.name == "op"]
                if heads != ["drawn_forward", "drawn_backward"] or jaxpr.out_avals[0].dtype != data.dtype:
                    wrong.append(heads)

    threads = [threading.Thread(target=work, args=(x64,)) for x64 in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- one straight program ----


def test_calls_within_calls_are_written_out_once_each():
    """JAX's own tracing takes 15 frames of Python for each, and Python's limit is 1,000: with a higher one, 200 are no more than 200."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        f = jnp.sin
        for _ in range(200):
            f = jax.jit(lambda x, f=f: f(x) * 1.5)
        program, _ = jaxprs.trace(f, 1.0)
        assert len(inlined(program).eqns) == 201
        np.testing.assert_allclose(bpjax.grad(f)(0.0), 1.5**200, rtol=1e-4)
    finally:
        sys.setrecursionlimit(limit)


def test_five_thousand_equations():
    def f(x):
        for _ in range(2500):
            x = jnp.tanh(x) * 1.01
        return x

    np.testing.assert_allclose(bpjax.grad(f)(0.5), jax.grad(f)(0.5), rtol=1e-4)


def test_jitted_blocks_keep_no_more_than_open_ones():
    """Written out before anything runs: late, each would keep what stands at its border."""

    def loss(wrap):
        block = wrap(lambda x, w: x + jax.nn.gelu(x @ w) @ w.T)

        def f(ws, x):
            for w in ws:
                x = block(x, w)
            return jnp.sum(x**2)

        return f

    args = [jnp.ones((16, 64))] * 6, jnp.ones((512, 16))
    jitted, open_ = (jax.jit(bpjax.grad(loss(wrap))).lower(*args).compile().memory_analysis() for wrap in (jax.jit, lambda f: f))
    assert jitted.temp_size_in_bytes <= open_.temp_size_in_bytes


# ---- recomputation ----


def test_what_waits_for_a_cotangent_is_not_changed():
    a = jnp.array([-0.0, 0.0, jnp.inf, -jnp.inf, jnp.nan, 1e-45, -3.0])
    for dy in (jnp.nan, jnp.inf, -0.0, 1.0, -1e-45):
        waited = jax.jit(lambda a, dy: after(a, [None, dy]))(a, jnp.array([dy, 2.0]))
        np.testing.assert_array_equal(np.asarray(waited).view(np.uint32)[:4], np.asarray(a).view(np.uint32)[:4])
        np.testing.assert_array_equal(waited, a)


def test_the_old_names_work_and_say_the_new_ones():
    @bpjax.op
    def half(x):
        return x / 2

    with pytest.warns(DeprecationWarning, match="def_again is now called def_recompute"):
        half.def_again(lambda saved: saved["x"] / 2)
    with pytest.warns(DeprecationWarning, match="IfMadeAgain is now called RecomputeOnly"):
        assert bpjax.engine.IfMadeAgain is bpjax.engine.RecomputeOnly
    with pytest.warns(DeprecationWarning, match=r"rule\(again=\) is now called recomputes="):
        bpjax.rule("no such primitive", again=True)


# ---- found by somebody who tried to break it ----


NOTHING_MAPPED = {
    "linear": lambda: F.linear(jnp.arange(15.0).reshape(5, 3), jnp.ones((4, 3))),
    "linear of a vector": lambda: F.linear(jnp.arange(3.0), jnp.ones((4, 3))),
    "embedding": lambda: F.embedding(jnp.array([1, 2]), jnp.ones((4, 3))),
    "prelu": lambda: F.prelu(jnp.ones((3, 4, 5)), jnp.ones(4)),
    "conv1d": lambda: F.conv1d(jnp.ones((5, 2, 6)), jnp.ones((3, 2, 3))),
}


@pytest.mark.parametrize("name", NOTHING_MAPPED)
def test_under_vmap_with_nothing_mapped(name):
    expected = NOTHING_MAPPED[name]()
    y = jax.vmap(lambda a: a + NOTHING_MAPPED[name]())(jnp.arange(5.0))
    assert_alike(y, jnp.stack([a + expected for a in range(5)]).astype(y.dtype))


def test_rules_for_one_call_do_not_reach_into_halves_that_others_share():
    f = lambda p, x: jnp.tanh(p * x)
    loss = lambda x: sum(F.reversible(x, x, jnp.ones(2), jnp.ones(2), f, f))
    jax.clear_caches()
    with pytest.raises(ValueError, match="no equation on the path"):
        bpjax.grad(loss, rules={"tanh": lambda eq, dy: dy * 0})(0.3)
    assert_alike(bpjax.grad(loss)(0.3), jax.grad(loss)(0.3))


def test_zeros_of_two_signs_and_nan_are_static_arguments():
    @bpjax.op(static=("sign",))
    def signed(x, sign):
        return x * np.copysign(1.0, sign)

    assert [float(signed(2.0, s)) for s in (0.0, -0.0, 0.0)] == [2.0, -2.0, 2.0]
    assert signed._call({"sign": np.nan}, 0) is signed._call({"sign": float("nan")}, 0)


def test_a_weak_type_reaches_the_next_op():
    @bpjax.op
    def doubled(x):
        return x * 2

    doubled.def_forward(lambda x: (lax.mul(x, jnp.full(jnp.shape(x), 2.0, x.dtype)), {}))  # strongly typed, where the formula is weak
    doubled.def_backward(lambda saved, dy: (dy * 2,))

    @bpjax.op
    def times(a, h):
        return a * h

    times.def_forward(lambda a, h: (a * h, {"a": a, "h": h}))
    times.def_backward(lambda s, dy: ((dy * s["h"]).sum().astype(s["a"].dtype), dy * s["a"].astype(dy.dtype)))
    f = lambda s: times(doubled(s), jnp.ones(3, jnp.bfloat16)).sum().astype(jnp.float32)
    assert float(bpjax.grad(f)(2.0)) == float(jax.grad(f)(2.0)) == 6.0


def test_a_mapped_call_that_makes_constants():
    table = jnp.arange(3.0)

    @jax.custom_batching.custom_vmap
    def product(x, w):
        return x * w

    product.def_vmap(lambda size, mapped, x, w: (x * w + table * 0, True))

    @bpjax.op
    def scaled(x, w):
        return product(x, w) * table

    scaled.def_forward(lambda x, w: (scaled.formula(x, w), {"x": x, "w": w}))
    scaled.def_backward(lambda s, dy: (dy * s["w"] * table, dy * s["x"] * table))
    xs = jnp.arange(12.0).reshape(2, 2, 3)
    f = lambda xs, w: jnp.sum(jax.vmap(jax.vmap(scaled, (0, None)), (0, 0))(xs, w) ** 2)
    assert_alike(bpjax.grad(f, (0, 1))(xs, xs[0]), jax.grad(lambda xs, w: jnp.sum((xs * w[:, None] * table**1) ** 2), (0, 1))(xs, xs[0]))


@pytest.mark.parametrize("f", [lambda r: F.prelu(r, jnp.ones(4)), lambda r: F.conv1d(r, jnp.ones((2, 4, 1)))])
def test_no_examples_under_vmap(f):
    x = jnp.zeros((2, 0, 4, 3))
    hand_is_auto(lambda x: jnp.sum(jax.vmap(f)(x)), x)


@pytest.mark.parametrize("wrong", ["text", object()])
def test_a_cotangent_that_is_no_array_is_told_with_its_op(wrong):
    @bpjax.op
    def half(x):
        return x / 2

    half.def_forward(lambda x: (x / 2, {}))
    half.def_backward(lambda saved, dy: (wrong,))
    with pytest.raises(bpjax.RuleError, match=r"the backward of half .* returned a .* for x; expected an array, or None. It stands at"):
        bpjax.grad(lambda x: jnp.sum(half(x)))(x)


def test_a_pull_back_outside_of_the_trace_that_its_op_closes_over_is_an_error():
    back = jax.jit(lambda c, x: bpjax.vjp(closing_over(c), x)[1])(3.0, x)
    with pytest.raises(bpjax.RuleError, match="op times .*closes over a value"):
        back(jnp.ones_like(x))
