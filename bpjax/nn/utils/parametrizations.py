"""Weights made of other parameters, under the names of PyTorch's `torch.nn.utils.parametrizations`."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from ... import functional as F
from ...functional._shared.checks import refuse
from ..module import Buffer, Module, Parameter

__all__ = ["spectral_norm", "weight_norm"]


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Have a parameter of the module be g v / ‖v‖; returns the module. g and v are `parametrizations.<name>.original0` and `original1`.

    Shapes: v as the parameter, g 1 in all axes but `dim`; () for None. They start where the parameter would.
    Formula and backward: see `bpjax.functional.weight_norm`.
    Errors: ValueError where the module has no such parameter.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html

    >>> import jax
    >>> from bpjax import interop, nn
    >>> model = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3, bias=False))
    >>> {name: value.shape for name, value in interop.state_dict(model.init(jax.random.key(0))).items()}
    {'parametrizations.weight.original0': (3, 1), 'parametrizations.weight.original1': (3, 2)}
    """
    return _parametrized(module, name, _WeightNorm(replaced("weight_norm", module, name), dim))


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Have a parameter of the module be W / σ, σ its largest singular value; returns the module. W is `parametrizations.<name>.original`.

    The buffers `parametrizations.<name>.0._u` and `_v` hold the singular vectors, which each application in train mode brings nearer.
    A vector is divided by its norm instead.

    Shapes: u (h,), v (w,) where W is (h, w): the axis `dim` by all others. `dim` is 1 for transposed convolutions where None, otherwise 0.
    Formula and backward: see `bpjax.functional.spectral_norm`.
    Errors: ValueError where the module has no such parameter, it has no axis `dim`, or there are no iterations.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html

    >>> import jax
    >>> from bpjax import interop, nn
    >>> model = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 3, bias=False))
    >>> {name: value.shape for name, value in interop.state_dict(model.init_buffers()).items()}
    {'parametrizations.weight.0._u': (3,), 'parametrizations.weight.0._v': (2,)}
    """
    weight, dim = to_normalize(module, name, n_power_iterations, dim)
    return _parametrized(module, name, _SpectralNorm(weight, dim, n_power_iterations, eps))


class _Parametrizations(Module):
    """The modules that make parameters of other parameters, by the name that each makes."""


class _WeightNorm(Module):
    """original0 original1 / ‖original1‖."""

    def __init__(self, weight, dim):
        self.dim = dim
        self.original0, self.original1 = weight_norm_parameters(weight, dim)

    def forward(self):
        return F.weight_norm(self.original1, self.original0, self.dim)


class _SpectralNorm(Module):
    """original / σ."""

    def __init__(self, weight, dim, n_power_iterations, eps):
        self.dim, self.n_power_iterations, self.eps = dim, n_power_iterations, eps
        self.original = weight
        if len(weight.shape) > 1:
            setattr(self, "0", _Vectors(weight, dim))

    def forward(self):
        if self.original.ndim == 1:
            return F.normalize(self.original, dim=0, eps=self.eps)
        held = getattr(self, "0")
        u, v = begun(self.original, held._u, held._v, self.dim, self.eps)
        if self.training:
            u, v = F.power_iteration(self.original, u, v, self.n_power_iterations, self.dim, self.eps)
            held._u, held._v = u, v
        return F.spectral_norm(self.original, u, v, self.dim)


class _Vectors(Module):
    """The singular vectors of a weight."""

    def __init__(self, weight, dim):
        self._u, self._v = vectors(weight, dim)


def _parametrized(module, name, parametrization):
    if "parametrizations" not in module._modules:
        module.parametrizations = _Parametrizations()
    setattr(module.parametrizations, name, parametrization)
    module.derive(name, functools.partial(_made, name))
    return module


def _made(name, module):
    return getattr(module.parametrizations, name)()


# -- shared with the older names ------------------------------------------------------------------------------------------


def replaced(who: str, module: Module, name: str) -> Parameter:
    """Take a parameter out of a module, for others to stand in its place."""
    if name not in module._parameters:
        known = ", ".join(map(repr, module._parameters)) or "none"
        raise ValueError(f"{who}: {type(module).__name__} has no parameter {name!r} of its own; it has {known}")
    return module._parameters.pop(name)


def to_normalize(module: Module, name: str, n_power_iterations: int, dim: int | None) -> tuple[Parameter, int]:
    """The weight that `spectral_norm` takes, and its axis that counts outputs."""
    dim = (1 if type(module).__name__.startswith("ConvTranspose") else 0) if dim is None else dim
    ndim = len(module._parameters[name].shape) if name in module._parameters else None
    refuse(
        "spectral_norm",
        n_power_iterations < 1 and f"n_power_iterations must be positive, got {n_power_iterations}",
        ndim is not None
        and not -ndim <= dim < ndim
        and f"dim must be an axis of a parameter of shape {module._parameters[name].shape}, got {dim}",
    )
    return replaced("spectral_norm", module, name), dim


def weight_norm_parameters(weight: Parameter, dim) -> tuple[Parameter, Parameter]:
    """g and v, which start where the weight would."""
    g = Parameter.made_from(weight, functools.partial(F.norm_except_dim, dim=dim))
    return g, weight


def vectors(weight: Parameter, dim: int) -> tuple[Buffer, Buffer]:
    """u and v; zeros stand for vectors that have not begun (see `begun`)."""
    h = weight.shape[dim]
    return Buffer((h,), 0.0, weight.dtype), Buffer((math.prod(weight.shape) // max(h, 1),), 0.0, weight.dtype)


def begun(weight, u, v, dim, eps):
    """u and v; in place of zeros, vectors after 15 iterations, as PyTorch begins. A buffer knows no weight when it is made."""
    weight = lax.stop_gradient(weight)

    def begin():
        start = (jax.random.normal(jax.random.key(i), x.shape, x.dtype) for i, x in enumerate((u, v)))
        return F.power_iteration(weight, *start, 15, dim, eps)

    return lax.cond(jnp.any(u != 0), lambda: (u, v), begin)
