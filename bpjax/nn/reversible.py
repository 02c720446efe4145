"""Reversible: layers whose activations are computed again from their outputs."""

import copy

import jax
import jax.numpy as jnp

from .. import functional as F
from .module import Binding, Module, fold_path
from .repeat import with_stacks


class Reversible(Module):
    """Layers of y1 = x1 + f(x2), y2 = x2 + g(y1), each with parameters of its own; x1 and x2 are the halves of the input along `dim`.

    The memory of activations does not grow with num_layers: on the way back the input of each layer is computed from its output, for
    one more forward pass. PyTorch has no such module.

    Shapes: any with an even axis `dim`, kept; f and g return the shape and dtype that they get, those of a half; parameters
    (num_layers, *shape).
    Formula and backward: see `bpjax.functional.reversible`.
    Errors: ValueError for an odd axis, f or g that return something else, or have buffers; TypeError for what is no module.
    Source: https://arxiv.org/abs/1707.04585

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> half = lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.Tanh())
    >>> model = nn.Reversible(half(), half(), 6)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 8))).shape
    (2, 8)
    """

    def __init__(self, f, g, num_layers, dim=-1):
        for name, block in (("f", f), ("g", g)):
            if not isinstance(block, Module):
                raise TypeError(f"Reversible: expected a module as {name}, got {type(block).__name__}")
            if block._lazy():
                raise ValueError(f"Reversible: {name} has no sizes yet ({block._lazy()}): give it its sizes")
            if kept := [path for path, buffer in block.named_buffers() if not buffer.constant]:
                raise ValueError(f"Reversible: {name} has the buffers {', '.join(kept)}, which would change when it is run again")
        if not hasattr(num_layers, "__index__") or num_layers < 1:
            raise ValueError(f"Reversible: num_layers must be a whole number, at least 1, got {num_layers!r}")
        self.num_layers, self.dim = num_layers, dim
        self.f, self.g = with_stacks(f, num_layers), with_stacks(g, num_layers)
        # not children: their own parameters are not those of this module; copies, since what is compiled of them is remembered
        self.__dict__["_templates"] = {"f": copy.deepcopy(f), "g": copy.deepcopy(g)}

    def forward(self, input):
        shape = self._shape(input)
        if not -len(shape) <= self.dim < len(shape) or shape[self.dim] % 2:
            raise ValueError(f"expected an input with an even axis {self.dim}, got shape {shape}")
        halves = jnp.split(input, 2, self.dim)
        functions = {name: _Applied(block, getattr(self, name)._path, self.training) for name, block in self._templates.items()}
        return jnp.concatenate(F.reversible(*halves, self._values(self.f), self._values(self.g), **functions), self.dim)

    def _values(self, block):
        """The stacked parameters under a block, a key for each layer, and its number, which is there without parameters too."""
        binding, path = self._binding, block._path
        keys = None if binding.rng is None else jax.random.split(fold_path(binding.rng, path), self.num_layers)
        return {p: value for p, value in binding.params.items() if p.startswith(path + ".")}, keys, jnp.arange(self.num_layers)

    def _children_repr(self):
        return [(name, f"{self.num_layers} x {block!r}") for name, block in self._templates.items()]


class _Applied:
    """A block as a function of a layer's parameters and key, and an array; equal to another of the same block."""

    def __init__(self, block, path, train):
        self.block, self.path, self.train = block, path, train

    def __eq__(self, other):
        return isinstance(other, _Applied) and (self.block, self.path, self.train) == (other.block, other.path, other.train)

    def __hash__(self):
        return hash((id(self.block), self.path, self.train))

    def __call__(self, values, x):
        params, key, _ = values
        return self.block._copy(Binding(params, None, self.train, key), self.path, {}, {})(x)
