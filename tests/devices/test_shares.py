"""Devices that share a step do each its own part: the rows of `scripts/benchmark --devices`, small."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import bpjax
import bpjax.functional as F
from benchmarks import devices
from bpjax import nn
from bpjax.inspect.compiled import work

P = PartitionSpec
SMALL = {
    "linear_cross_entropy": {"batch": 2048, "width": 16, "vocabulary": 1024},
    "linear_cross_entropy, not reduced": {"batch": 2048, "width": 16, "vocabulary": 1024},
    "attention": {"batch": 8, "length": 256, "heads": 8, "width": 4},
    "MultiheadAttention": {"batch": 8, "length": 256, "width": 16},
    "LayerNorm": {"batch": 2048, "width": 32},
    "RMSNorm": {"batch": 2048, "width": 32},
    "BatchNorm1d": {"batch": 2048, "width": 32},
    "Embedding": {"batch": 16, "length": 16, "vocabulary": 512, "width": 16},
    "MLP": {"batch": 2048, "width": 32},
    "convolutions": {"batch": 32, "width": 8},
    "GPT": {"batch": 8, "length": 128, "vocabulary": 512, "width": 32, "layers": 1},
}


IS_NEW = jax.__version_info__ >= (0, 12)
of_gelu = pytest.mark.xfail(
    IS_NEW, raises=ValueError, strict=True, reason="jax.grad of JAX's own gelu raises: its coefficients do not vary"
)
ROW_MARKS = {"shard_map: MLP": of_gelu, "shard_map: GPT": of_gelu}


@pytest.mark.parametrize("name", [pytest.param(name, marks=ROW_MARKS.get(name, ())) for name in devices.ROWS])
def test_each_device_does_its_own_share(name):
    """No more bytes, gathers and sums than with `jax.grad`, and the gradient of one device."""
    of, _ = devices.ROWS[name]
    for row in devices.measured(name, devices.MODELS[of](**SMALL[of])):
        said = devices.HEAD + "\n" + devices.line(row)
        assert row.error < 2e-5, said
        assert all(row.ratio(of) <= 1 for of in ("bytes", "all-gather", "all-reduce", "all-to-all", "collective-permute")), said


def test_collectives_in_loops_are_counted_by_their_steps():
    mesh = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
    total = lambda x: jax.lax.scan(lambda c, x: (jnp.sin(c + jax.lax.psum(x, "i")), None), jnp.zeros(4), x)[0]
    f = jax.shard_map(total, mesh=mesh, in_specs=P(None, "i"), out_specs=P())
    found = work(jax.jit(f).lower(jnp.ones((5, 32))).compile().as_text())
    assert found.collectives == {"all-reduce": 5} and found.sent == {"all-reduce": 5 * 16}


# -- linear_cross_entropy in all its forms, shared in all ways: the gradient of one device in float64 -------------------------

ROWS, IN, WORDS = 32, 3, 16
WAYS = {  # how rows and words are split over a mesh of 4 x 2
    "rows": (("i", "j"), None),
    "words": (None, ("i", "j")),
    "rows and words": ("i", "j"),
    "words and rows": ("j", "i"),
    "both over one axis": ("i", "i"),
}
FORMS = {
    "mean": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "ignored rows": {"ignore_index": 2},
    "ignored rows, none": {"ignore_index": 2, "reduction": "none"},
    "smoothed": {"label_smoothing": 0.2},
    "weighted": {"weight": True, "ignore_index": 3},
    "of probabilities": {"probabilities": True},
    "a word that is none": {"beyond": True},
    "blocks of 5 rows": {"options": nn.LinearCrossEntropyOptions(batch_chunk_size=5)},
    "blocks of 5 rows, none": {"options": nn.LinearCrossEntropyOptions(batch_chunk_size=5), "reduction": "none"},
    "blocks of 5 rows, weighted": {"options": nn.LinearCrossEntropyOptions(batch_chunk_size=5), "weight": True},
}


def problem(weight=False, probabilities=False, beyond=False, **options):
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(ROWS, IN)), rng.normal(size=(WORDS, IN)), rng.normal(size=WORDS)
    t = rng.dirichlet(np.ones(WORDS), ROWS) if probabilities else rng.integers(0, WORDS, ROWS)
    t = np.where(np.arange(ROWS) == 4, WORDS + 1, t) if beyond else t
    w = rng.uniform(size=WORDS) if weight else None
    of_rows = np.arange(1.0, ROWS + 1) if options.get("reduction") == "none" else 1.0

    def loss(differentiated, t):
        x, W, b, w = differentiated
        y = F.linear_cross_entropy(x, W, t, linear_bias=b, weight=w, **options)
        return jnp.sum(jnp.where(jnp.isnan(y), 0, y) * of_rows)

    return loss, (x, W, b, w), t


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
def test_a_shared_loss_is_that_of_one_device(way, form):
    loss, differentiated, t = problem(**FORMS[form])
    rows, words = WAYS[way]
    mesh = jax.make_mesh((4, 2), ("i", "j"), axis_types=(AxisType.Auto,) * 2)
    lie = lambda a, *spec: None if a is None else jax.device_put(a, NamedSharding(mesh, P(*spec)))
    x, W, b, w = differentiated
    shared = (lie(x, rows), lie(W, words), lie(b, words), lie(w, None)), lie(t, rows)
    y, gradients = jax.jit(bpjax.value_and_grad(loss))(*shared)
    expected, alone = jax.jit(jax.value_and_grad(loss))(differentiated, t)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    for d, of_one in zip(jax.tree.leaves(gradients), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(d, of_one, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_what_is_shared_can_be_differentiated_and_mapped_and_differentiated_again():
    loss, (x, W, b, _), t = problem()
    mesh = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
    split = lambda a: jax.device_put(a, NamedSharding(mesh, P("i")))
    of = lambda W, x, t: loss((x, W, b, None), t)
    norm = lambda gradient: lambda W, x, t: jnp.sum(gradient(of)(W, x, t) ** 2)
    expected = jax.grad(norm(jax.grad))(W, x, t)
    for gradient in (bpjax.grad(norm(bpjax.grad)), jax.grad(norm(bpjax.grad)), bpjax.grad(norm(jax.grad))):
        np.testing.assert_allclose(jax.jit(gradient)(W, split(x), split(t)), expected, rtol=1e-10)
    each = lambda gradient: jax.vmap(gradient(of), (None, 0, 0))
    x, t = x.reshape(8, -1, IN), t.reshape(8, -1)
    np.testing.assert_allclose(jax.jit(each(bpjax.grad))(W, split(x), split(t)), each(jax.grad)(W, x, t), rtol=1e-10, atol=1e-12)


def test_a_step_for_several_devices_is_exported_without_its_shares():
    loss, (x, W, b, _), t = problem()
    mesh = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
    x, W, b = (jnp.asarray(a, jnp.float32) for a in (x, W, b))
    x, t = (jax.device_put(a, NamedSharding(mesh, P("i"))) for a in (x, t))
    step = jax.jit(bpjax.grad(lambda W, x, t: loss((x, W, b, None), t)))
    exported = jax.export.export(step)(W, x, t)
    assert "CustomSPMDPartitioning" not in exported.mlir_module()
    np.testing.assert_allclose(jax.jit(exported.call)(W, x, t), step(W, x, t), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", ["patches", "winograd"])
def test_convolutions_in_chunks_are_shared(layer):
    channels, shape = {"patches": (3, (16, 3, 32, 32)), "winograd": (64, (16, 64, 16, 16))}[layer]
    x, W = devices.normal(0, *shape), devices.normal(1, 64, channels, 3, 3) / 10
    mesh = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
    step = jax.jit(bpjax.grad(lambda W, x: (F.conv2d(x, W, padding=1) ** 2).mean()))
    shared = jax.device_put(x, NamedSharding(mesh, P("i")))
    counts = work(step.lower(W, shared).compile().as_text()).collectives
    assert counts == {"all-reduce": 1}
    np.testing.assert_allclose(step(W, shared), step(W, x), rtol=1e-3, atol=1e-6)


def test_the_rows_that_a_user_gave_hold_for_the_rows_of_all_devices():
    """Both options agree for all 1,024 rows; for the 128 of one device they would not."""
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=256, chunking_method="aspect_ratio")
    x, W = (np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate([(1024, 16), (64, 16)]))
    mesh = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
    step = jax.jit(bpjax.grad(lambda W, x: F.linear_cross_entropy(x, W, np.arange(1024) % 64, options=options)))
    np.testing.assert_allclose(step(W, jax.device_put(x, NamedSharding(mesh, P("i")))), step(W, x), atol=1e-6)
