"""Flat names, `.safetensors` files, and every mismatch in one error."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bpjax import interop, nn


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
params, buffers = model.init(jax.random.key(0)), model.init_buffers()
flat = interop.state_dict(params, buffers)


def equal(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def test_there_and_back():
    assert list(flat) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    ]  # fmt: skip
    again, state = interop.load_state_dict(model, flat)
    assert equal(again, params) and equal(state, buffers)


def test_through_a_file(tmp_path):
    interop.save_safetensors({**flat, "half": jnp.ones(3, jnp.bfloat16)}, tmp_path / "model.safetensors", {"by": "test"})
    read = interop.load_safetensors(tmp_path / "model.safetensors")
    assert read.pop("half").dtype == jnp.bfloat16 and equal(read, flat)


def test_every_mismatch_is_in_one_error():
    given = {**flat, "0.weight": jnp.ones((3, 3)), "head.bias": jnp.ones(1)}
    del given["1.running_var"]
    with pytest.raises(ValueError) as caught:
        interop.load_state_dict(model, given)
    assert str(caught.value) == (
        "Sequential: the state_dict does not fit:\n  wrong shape: 0.weight: expected (3, 2), got (3, 3)\n"
        "  missing: 1.running_var (3,)\n  unexpected: head.bias (1,)"
    )


def test_not_strict_keeps_what_fits():
    loaded, state = interop.load_state_dict(model, {"0.bias": jnp.full(3, 7.0), "head": jnp.ones(1)}, strict=False)
    assert (loaded["0"]["bias"] == 7).all() and jax.tree.structure(loaded) == jax.tree.structure(params)
    assert jax.tree.structure(state) == jax.tree.structure(buffers)


def test_whole_numbers_become_floating_and_declared_dtypes_stay():
    loaded, state = interop.load_state_dict(model, {**flat, "0.bias": np.arange(3), "1.num_batches_tracked": np.float32(5)})
    assert loaded["0"]["bias"].dtype == jnp.float32 and state["1"]["num_batches_tracked"].dtype == jnp.int32
    assert interop.load_state_dict(model, {**flat, "0.bias": np.zeros(3, np.float16)})[0]["0"]["bias"].dtype == jnp.float16


X64 = '.*jax_enable_x64", True. keeps 64 bits'
OUT_OF_RANGE = {  # where, the value, what the error says of it
    "an int64": ("0.bias", np.array([0, 2**40, 1]), None),
    "a float64": ("0.bias", np.array([1.0, 1e300, 1.0]), "out of range: 0.bias: 1e.300 does not fit float32" + X64),
    "a list": ("0.bias", [1.0, 1e300, 1.0], "out of range: 0.bias: 1e.300 does not fit float32" + X64),
    "a count": ("1.num_batches_tracked", np.int64(2**40), "out of range: 1.num_batches_tracked: 1099511627776 does not fit int32"),
    "a Python number": ("1.num_batches_tracked", 2**40, "out of range: 1.num_batches_tracked: 1099511627776 does not fit int32"),
    "a NaN for a count": ("1.num_batches_tracked", np.float32("nan"), "out of range: 1.num_batches_tracked: nan does not fit int32"),
    "a huge Python number": ("1.num_batches_tracked", 2**70, "not an array: 1.num_batches_tracked: expected numbers, got object"),
    "what is infinite already": ("0.bias", np.array([1.0, np.inf, np.nan]), None),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_a_number_is_loaded_as_it_is_or_named(case):
    name, value, words = OUT_OF_RANGE[case]
    if words is None:
        loaded, _ = interop.load_state_dict(model, {**flat, name: value})
        np.testing.assert_array_equal(loaded["0"]["bias"], value)
    else:
        with pytest.raises(ValueError, match=words):
            interop.load_state_dict(model, {**flat, name: value})


def test_a_declared_narrow_dtype_is_not_overrun():
    half = nn.Linear(2, 3, dtype=jnp.float16)
    with pytest.raises(ValueError, match="out of range: weight: 1.0*[0-9]*e.30 does not fit float16"):
        interop.load_state_dict(half, {"weight": jnp.full((3, 2), 1e30), "bias": jnp.ones(3)})
    with pytest.raises(ValueError, match="out of range: bias: 100000 does not fit float16"):
        interop.load_state_dict(half, {"weight": jnp.ones((3, 2)), "bias": np.array([1, 100000, 1])})


WIDE = {"i": np.array([2**40, 1]), "u": np.array(2**63, np.uint64), "f": np.array([1e300, 1e-300])}


def test_wide_numbers_of_a_file_are_named_where_32_bits_cannot_hold_them(tmp_path):
    file = tmp_path / "it.safetensors"
    interop.save_safetensors({**WIDE, "fits": np.array([2**31 - 1, -(2**31)]), "x": np.array([0.1, np.inf])}, file)
    with pytest.raises(ValueError) as caught:
        interop.load_safetensors(file)
    said = str(caught.value)
    assert all(re.search(f"out of range: {line} does not fit .*32{X64}", said) for line in ("i: 1099511627776", "u: 9223372036854775808"))
    assert re.search(f"out of range: f: 1e.300 does not fit float32{X64}", said) and "fits" not in said and "x:" not in said


def test_wide_numbers_go_through_a_file_in_x64_mode(tmp_path, x64):
    interop.save_safetensors(WIDE, tmp_path / "it.safetensors")
    read = interop.load_safetensors(tmp_path / "it.safetensors")
    assert equal(read, WIDE) and all(read[name].dtype == value.dtype for name, value in WIDE.items())


def test_a_file_of_64_bits_is_read_in_32_where_they_hold_it(tmp_path):
    given = {"i": np.array([2**31 - 1, -(2**31)]), "x": np.array([0.1, np.inf, np.nan])}
    interop.save_safetensors({**given, "turned": np.arange(6.0).reshape(2, 3).T}, tmp_path / "it.safetensors")
    read = interop.load_safetensors(tmp_path / "it.safetensors")
    np.testing.assert_array_equal(read["turned"], np.arange(6.0).reshape(2, 3).T)
    assert (read["i"].dtype, read["x"].dtype) == (jnp.int32, jnp.float32)
    np.testing.assert_array_equal(read["i"], given["i"])
    np.testing.assert_array_equal(read["x"], given["x"].astype(np.float32))


@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_array_is_in_the_error(strict):
    given = {**flat, "0.weight": "abc", "0.bias": None, "1.bias": np.zeros(3, complex), "1.weight": [[1.0], [1.0, 2.0]]}
    with pytest.raises(ValueError, match="(?s)not an array: 0.weight.*not an array: 0.bias.*1.weight.*1.bias: expected real numbers"):
        interop.load_state_dict(model, given, strict)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: interop.load_state_dict(model, None), TypeError, "load_state_dict: expected a module and arrays by name"),
        (lambda: interop.load_state_dict(flat, model), TypeError, "got dict and Sequential"),
        (lambda: interop.load_state_dict(nn.LazyLinear(3), {"weight": jnp.ones((3, 2))}), ValueError, "LazyLinear: no sizes yet"),
        (lambda: interop.state_dict(model), TypeError, "state_dict: expected nested dicts, as model.init and model.init_buffers make them"),
        (lambda: interop.state_dict(params, jnp.ones(3)), TypeError, "state_dict: expected nested dicts"),
    ],
)
def test_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize("names", [("0.weight", "1.weight"), ("0.weight",), ("1.weight",)], ids=["both", "the first", "the second"])
def test_a_tied_weight_under_any_of_its_names(names):
    given = {"0.bias": np.zeros(3), "1.bias": np.zeros(3), **{n: np.eye(3) for n in names}}
    loaded, _ = interop.load_state_dict(tied(), given)
    np.testing.assert_array_equal(loaded["0"]["weight"], np.eye(3))


def test_tied_weights_that_differ_are_refused():
    given = {"0.bias": np.zeros(3), "1.bias": np.zeros(3), "0.weight": np.eye(3), "1.weight": np.ones((3, 3))}
    with pytest.raises(ValueError, match="tied, but different: 1.weight and 0.weight"):
        interop.load_state_dict(tied(), given)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 a zip", "file of torch.save"),
        (b"\x80\x02 a pickle", "file of torch.save"),
        (b"", "not a whole"),
        (b"\0" * 99, "not a whole"),
    ],
)
def test_another_file_is_refused(tmp_path, content, words):
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(words)):
        interop.load_safetensors(tmp_path / "it")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "norm",
    [lambda: nn.BatchNorm2d(3), lambda: nn.InstanceNorm2d(3, track_running_stats=True), lambda: nn.Repeat(nn.BatchNorm1d(3), 2)],
    ids=["BatchNorm", "InstanceNorm", "BatchNorm, repeated"],
)
def test_a_count_of_batches_may_lack(norm, strict):
    """PyTorch had none before 0.4.1, and fills it in: _NormBase._load_from_state_dict in torch/nn/modules/batchnorm.py."""
    model = nn.Sequential(nn.Identity(), norm())
    params, buffers = model.init(jax.random.key(0)), model.init_buffers()
    old = {name: value for name, value in interop.state_dict(params, buffers).items() if not name.endswith("num_batches_tracked")}
    assert equal(interop.load_state_dict(model, old, strict), (params, buffers))
    with pytest.raises(ValueError, match="missing: .*running_var"):
        interop.load_state_dict(model, {name: value for name, value in old.items() if not name.endswith("running_var")})


def test_a_count_that_was_set_is_what_stands_where_none_is_given():
    norm = nn.BatchNorm1d(3)
    norm.num_batches_tracked = jnp.array(5, jnp.int32)
    old = {name: jnp.ones(3) for name in ("weight", "bias", "running_mean", "running_var")}
    assert int(interop.load_state_dict(norm, old)[1]["num_batches_tracked"]) == 5
