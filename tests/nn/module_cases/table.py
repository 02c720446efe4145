"""The table of cases of the modules. Each is built from one line for bpjax and, where it is installed, for PyTorch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bpjax


class Library(NamedTuple):
    """What a case is built from: `lib.nn.Conv2d(...)`, `lib.F.interpolate`; `lib.array` and `lib.parameter` make those of an array."""

    nn: Any
    F: Any
    array: Callable
    parameter: Callable


BPJAX = Library(bpjax.nn, bpjax.functional, jnp.asarray, lambda a: bpjax.nn.Parameter(jnp.asarray(a)))


class Case(NamedTuple):
    name: str  # a class of nn, or a function of F
    id: str
    make: Callable  # of a Library: the module, or a function
    inputs: tuple  # arrays: gradients are taken of the floating ones
    kwargs: dict  # further arguments of the call that are not differentiated
    modes: tuple[str, ...]  # "train", "eval"
    keep: bool  # whether parameters and buffers stay as the module starts them, instead of random
    parity: bool  # whether PyTorch has it
    entrywise: bool  # whether tiny numbers of the gradient are right as well, and are compared each for itself


CASES: list[Case] = []


def module(name, id, make, inputs, *, kwargs=None, modes=("train", "eval"), keep=False, parity=True, entrywise=False):
    """A case. `modes=("eval",)` where training is random; it is run in one of the modes where the module does the same in both."""
    CASES.append(Case(name, f"{name}: {id}", make, tuple(inputs), kwargs or {}, modes, keep, parity, entrywise))


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def positive(*shape, seed=0):
    return np.exp(normal(*shape, seed=seed))


def unit(*shape, seed=0):
    return 1 / (1 + np.exp(-normal(*shape, seed=seed)))


def integers(high, *shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, high, shape)


def apart(*shape, seed=0):
    """Values without ties."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 7.0 + 0.01


def random_like(values):
    """Numbers in the place of each array, or type of one, of nested dicts: positive for a variance or a norm, 0 for whole numbers."""

    def number(path, value):
        if not jnp.issubdtype(value.dtype, jnp.floating):
            return jax.device_put(np.zeros(value.shape, value.dtype))
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        draw = positive if name.endswith(("var", "weight_g", "original0")) else lambda *s, seed: 0.5 * normal(*s, seed=seed)
        return jax.device_put(draw(*value.shape, seed=sum(name.encode())).astype(value.dtype))

    return jax.tree_util.tree_map_with_path(number, values)


def differentiated(case: Case):
    """Which inputs gradients are taken of."""
    return [i for i, a in enumerate(case.inputs) if a is not None and np.issubdtype(np.asarray(a).dtype, np.floating)]


def program(case: Case, built, params, buffers, mode):
    """`(parameters, floating inputs) -> outputs, new buffers` of a case in one mode."""
    where = differentiated(case)
    is_module = isinstance(built, bpjax.nn.Module)
    others = [a if a is None or i in where else jax.device_put(a) for i, a in enumerate(case.inputs)]
    kwargs = {k: jax.device_put(v) if isinstance(v, np.ndarray) else v for k, v in case.kwargs.items()}

    def f(params, floating):
        inputs = list(others)
        for i, a in zip(where, floating):
            inputs[i] = a
        if not is_module:
            return built(*inputs, **kwargs), {}
        options = {"train": mode == "train", "rng": jax.random.key(7) if mode == "train" else None}
        return built.apply(params, *inputs, buffers=buffers, **options, **kwargs)

    return f, (params, [jax.device_put(np.asarray(case.inputs[i])) for i in where])


def cotangents(outputs):
    """One for each floating output, the same for every library."""
    return [normal(*np.shape(y), seed=3) for y in outputs]


def pull(vjp, f, args):
    """Outputs as a list, the gradients of `args` under the cotangents, new buffers."""
    outputs, back, new = vjp(f, *args, has_aux=True)
    leaves, tree = jax.tree.flatten(outputs)
    is_floating = [jnp.issubdtype(y.dtype, jnp.floating) for y in leaves]
    given = iter(cotangents([y for y, floating in zip(leaves, is_floating) if floating]))
    dys = [next(given).astype(y.dtype) if floating else np.zeros(y.shape, jax.dtypes.float0) for y, floating in zip(leaves, is_floating)]
    return leaves, back(jax.tree.unflatten(tree, dys)), new
