"""Weights made of other parameters, under the names of PyTorch's `torch.nn.utils`; its newer names are in `parametrizations`."""

import functools

from ... import functional as F
from ..module import Module
from . import parametrizations
from .parametrizations import begun, replaced, to_normalize, vectors, weight_norm_parameters

__all__ = ["parametrizations", "spectral_norm", "weight_norm"]


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Have a parameter of the module be g v / ‖v‖, with parameters name_g and name_v in its place; returns the module.

    Shapes: name_v as the parameter, name_g 1 in all axes but `dim`; () for None. They start where the parameter would.
    Formula and backward: see `bpjax.functional.weight_norm`.
    Errors: ValueError where the module has no such parameter.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.utils.weight_norm.html

    >>> import jax
    >>> from bpjax import nn
    >>> model = nn.utils.weight_norm(nn.Linear(2, 3))
    >>> {name: value.shape for name, value in model.init(jax.random.key(0)).items()}
    {'bias': (3,), 'weight_g': (3, 1), 'weight_v': (3, 2)}
    """
    g, v = weight_norm_parameters(replaced("weight_norm", module, name), dim)
    setattr(module, f"{name}_g", g)
    setattr(module, f"{name}_v", v)
    module.derive(name, functools.partial(_weight_norm, name, dim))
    return module


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Have a parameter of the module be W / σ, σ its largest singular value, with the parameter name_orig in its place; returns the module.

    The buffers name_u and name_v hold the singular vectors, which each application in train mode brings nearer.

    Shapes: name_orig as the parameter, name_u (h,), name_v (w,) where W is (h, w): the axis `dim` by all others. `dim` is 1 for
    transposed convolutions where None, otherwise 0.
    Formula and backward: see `bpjax.functional.spectral_norm`.
    Errors: ValueError where the module has no such parameter, it has no axis `dim`, or there are no iterations.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.utils.spectral_norm.html

    >>> import jax
    >>> from bpjax import nn
    >>> model = nn.utils.spectral_norm(nn.Linear(2, 3))
    >>> {name: value.shape for name, value in {**model.init(jax.random.key(0)), **model.init_buffers()}.items()}
    {'bias': (3,), 'weight_orig': (3, 2), 'weight_u': (3,), 'weight_v': (2,)}
    """
    weight, dim = to_normalize(module, name, n_power_iterations, dim)
    setattr(module, f"{name}_orig", weight)
    for suffix, buffer in zip("uv", vectors(weight, dim)):
        setattr(module, f"{name}_{suffix}", buffer)
    module.derive(name, functools.partial(_spectral_norm, name, n_power_iterations, eps, dim))
    return module


def _weight_norm(name, dim, module):
    return F.weight_norm(getattr(module, f"{name}_v"), getattr(module, f"{name}_g"), dim)


def _spectral_norm(name, n_power_iterations, eps, dim, module):
    weight = getattr(module, f"{name}_orig")
    u, v = begun(weight, getattr(module, f"{name}_u"), getattr(module, f"{name}_v"), dim, eps)
    if module.training:
        u, v = F.power_iteration(weight, u, v, n_power_iterations, dim, eps, v_first=True)
        setattr(module, f"{name}_u", u)
        setattr(module, f"{name}_v", v)
    return F.spectral_norm(weight, u, v, dim)
