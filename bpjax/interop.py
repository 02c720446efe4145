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
        mapping: arrays by name: of JAX, NumPy or PyTorch. A tied weight may stand there under each of its names, or under one.
        strict: False leaves out what the model lacks, and starts anew (`model.init` with key 0) what the mapping lacks.
    Errors: ValueError that lists every missing, unexpected and wrongly shaped entry, what is no array or complex, and tied weights that
    differ; ValueError for lazy modules without sizes; TypeError for a mapping or a model that is none.

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
                except (TypeError, ValueError) as error:
                    problems.append(f"not an array: {name}: {error}")
            if not here and strict:
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


def save_safetensors(tensors: Mapping[str, jax.Array], path: str | os.PathLike, metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays by name, as `state_dict` gives them, to a `.safetensors` file. Needs the extra `interop`."""
    _library().save_file({name: jnp.asarray(value) for name, value in tensors.items()}, os.fspath(path), dict(metadata or {}) or None)


def load_safetensors(path: str | os.PathLike) -> dict[str, jax.Array]:
    """The arrays of a `.safetensors` file, by name. Needs the extra `interop`.

    Errors: ValueError for a file that is something else; for one of `torch.save` with what to do.
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
        return library.load_file(os.fspath(path))
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a whole .safetensors file: {error}") from error


def _library():
    try:
        import safetensors.flax
    except ImportError as error:
        raise ImportError("reading and writing .safetensors needs the safetensors library: pip install 'bpjax[interop]'") from error
    return safetensors.flax


def _as_array(value, dtype):
    """An array of JAX; also from a tensor of PyTorch, which NumPy cannot read where it is bfloat16 or tracked."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = jnp.asarray(value.float().numpy(), jnp.bfloat16)
        else:
            value = value.numpy()
    value = jnp.asarray(value)
    if jnp.iscomplexobj(value):
        raise TypeError(f"expected real numbers, got {value.dtype}")
    if dtype is None and not jnp.issubdtype(value.dtype, jnp.floating):
        dtype = jnp.result_type(float)  # as PyTorch copies whole numbers into a parameter
    return value.astype(value.dtype if dtype is None else dtype)
