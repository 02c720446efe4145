"""Parameters to and from the rest of the world: PyTorch's flat names, `.safetensors` files."""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .nn.module import Module, flat, nested


def state_dict(params: Mapping, buffers: Mapping | None = None) -> dict[str, jax.Array]:
    """Parameters and buffers under PyTorch's names: the keys of the nested dicts, joined with dots.

    >>> import jax, bpjax
    >>> from bpjax import interop, nn
    >>> params = nn.Sequential(nn.Linear(2, 3)).init(jax.random.key(0))
    >>> {name: value.shape for name, value in interop.state_dict(params).items()}
    {'0.weight': (3, 2), '0.bias': (3,)}
    """
    if strange := [type(tree).__name__ for tree in (params, {} if buffers is None else buffers) if not isinstance(tree, Mapping)]:
        raise TypeError(f"state_dict: expected nested dicts, as model.init and model.init_buffers make them, got {strange[0]}")
    return {**flat(params), **flat({} if buffers is None else buffers)}


def load_state_dict(model: Module, mapping: Mapping[str, Any], strict: bool = True) -> tuple[dict, dict]:
    """`(params, buffers)` of the model from flat names and arrays, such as PyTorch's `state_dict` or a `.safetensors` file.

    Args:
        model: says which names and shapes there are. A dtype that it declares is kept; otherwise a floating one of the array stays.
        mapping: arrays by name: of JAX, NumPy or PyTorch. A tied weight may stand there under each of its names, or under one. BatchNorm's
            `num_batches_tracked` may lack, as in old files, and is 0 then.
        strict: False leaves out what the model lacks, and starts anew (`model.init` with key 0) what the mapping lacks.
    Errors: ValueError that lists every missing, unexpected and wrongly shaped entry, what is no array or complex, what leaves the range of
    its dtype (as an int64 of 2**40 does in int32), and tied weights that differ; ValueError for lazy modules without sizes; TypeError for
    a mapping or a model that is none.

    >>> import jax, bpjax
    >>> from bpjax import interop, nn
    >>> model = nn.Linear(2, 3)
    >>> params, buffers = interop.load_state_dict(model, {"weight": jax.numpy.ones((3, 2)), "bias": jax.numpy.zeros(3)})
    >>> params["weight"].shape, buffers
    ((3, 2), {})
    """
    if not isinstance(model, Module) or not isinstance(mapping, Mapping):
        raise TypeError(f"load_state_dict: expected a module and arrays by name, got {type(model).__name__} and {type(mapping).__name__}")
    if lazy := model._lazy():
        raise ValueError(f"{type(model).__name__}: no sizes yet: {lazy}: call init(rng, *sample_inputs) first")
    given, problems, used = dict(mapping), [], set()
    loaded: dict[str, dict] = {}
    for kind in ("parameters", "buffers"):
        values = loaded[kind] = {}
        for names, declared in model.declared(kind):
            here, found = [n for n in names if n in given], {}
            used.update(here)
            for name in here:
                try:
                    found[name] = _as_array(given[name], declared.dtype)
                except OverflowError as error:
                    problems.append(f"out of range: {name}: {error}")
                except (TypeError, ValueError) as error:
                    problems.append(f"not an array: {name}: {error}")
            if not here and declared.optional:
                values[names[0]] = declared.make(None)
            elif not here and strict:
                problems.append(f"missing: {names[0]} {declared.shape}")
            for name, value in found.items():
                if value.shape != declared.shape:
                    problems.append(f"wrong shape: {name}: expected {declared.shape}, got {value.shape}")
                elif (first := values.setdefault(names[0], value)) is not value and not np.array_equal(first, value, equal_nan=True):
                    problems.append(f"tied, but different: {name} and {next(iter(found))}")
    if strict:
        problems += [f"unexpected: {name} {tuple(np.shape(given[name]))}" for name in given if name not in used]
    if problems:
        raise ValueError(f"{type(model).__name__}: the state_dict does not fit:\n  " + "\n  ".join(problems))
    if not strict:
        fresh = {"parameters": model.init(jax.random.key(0)), "buffers": model.init_buffers()}
        loaded = {kind: {**flat(fresh[kind]), **values} for kind, values in loaded.items()}
    return nested(loaded["parameters"]), nested(loaded["buffers"])


def save_safetensors(tensors: Mapping[str, Any], path: str | os.PathLike, metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays by name, as `state_dict` gives them, to a `.safetensors` file, each in its own dtype. Needs the extra `interop`."""
    numpy = {name: np.asarray(_readable(value), order="C") for name, value in tensors.items()}
    _library().save_file(numpy, os.fspath(path), dict(metadata or {}) or None)


def load_safetensors(path: str | os.PathLike) -> dict[str, jax.Array]:
    """The arrays of a `.safetensors` file, by name. Needs the extra `interop`.

    As everywhere in JAX, where x64 mode is off what has 64 bits gets 32.
    Errors: ValueError for a file that is something else; for one of `torch.save` with what to do; for numbers that 32 bits cannot hold.
    """
    with open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\x80"):
        raise ValueError(
            f"{os.fspath(path)} is a file of torch.save, a pickle that could run any code when read. Where PyTorch is at hand, convert it: "
            'from safetensors.torch import save_file; save_file(torch.load("it.pt", weights_only=True), "it.safetensors")'
        )
    library = _library()
    try:
        tensors = library.load_file(os.fspath(path))
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a whole .safetensors file: {error}") from error
    problems = []
    for name, value in tensors.items():
        try:
            tensors[name] = _in_dtype(value, value.dtype)
        except OverflowError as error:
            problems.append(f"out of range: {name}: {error}")
    if problems:
        raise ValueError(f"{os.fspath(path)} cannot be read as it is:\n  " + "\n  ".join(problems))
    return tensors


def _library():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("reading and writing .safetensors needs the safetensors library: pip install 'bpjax[interop]'") from error
    return safetensors.numpy  # that of JAX would cut 64 bits


def _readable(value):
    """An array that NumPy can read, as it cannot a tensor of PyTorch that is bfloat16 or tracked."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return value.float().numpy().astype(jnp.bfloat16) if str(value.dtype) == "torch.bfloat16" else value.numpy()


def _as_array(value, dtype):
    """An array of JAX in a dtype; where that is None in its own, if it is floating."""
    value = _readable(value)
    value = value if isinstance(value, jax.Array) else np.asarray(value)  # not jnp.asarray, which cuts 64 bits
    if jnp.iscomplexobj(value):
        raise TypeError(f"expected real numbers, got {value.dtype}")
    if value.dtype != bool and not jnp.issubdtype(value.dtype, jnp.number):
        raise TypeError(f"expected numbers, got {value.dtype}")
    if dtype is None:  # as PyTorch copies whole numbers into a parameter
        dtype = value.dtype if jnp.issubdtype(value.dtype, jnp.floating) else jnp.result_type(float)
    return _in_dtype(value, dtype)


def _in_dtype(value, dtype):
    """An array of JAX in this dtype, whose range no number may leave; of 64 bits 32 are left where x64 mode is off."""
    asked, dtype = jnp.dtype(dtype), jax.dtypes.canonicalize_dtype(dtype)
    if value.dtype == dtype:
        return jnp.asarray(value)
    given = np.asarray(value)
    if jnp.issubdtype(dtype, jnp.integer):
        range_ = jnp.iinfo(dtype)
        outside = ~((given >= int(range_.min)) & (given <= int(range_.max)))  # NaN is outside, too
    else:
        with np.errstate(over="ignore"):
            outside = np.isfinite(given) & ~np.isfinite(given.astype(dtype))
    if outside.any():
        advice = "" if asked == dtype else ': jax.config.update("jax_enable_x64", True) keeps 64 bits'
        raise OverflowError(f"{given[outside].flat[0]} does not fit {dtype}{advice}")
    return jnp.asarray(given.astype(dtype))
