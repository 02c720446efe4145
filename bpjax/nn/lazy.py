"""Lazy modules: sizes are told by the sample inputs of `model.init(rng, *sample_inputs)`."""

from .linear import Linear
from .module import Lazy


class LazyLinear(Lazy):
    """A Linear that takes in_features from its input.

    Shapes: (*, in_features) -> (*, out_features).
    Formula and backward: see `bpjax.functional.linear`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyLinear(3)
    >>> params = model.init(jax.random.key(0), jnp.ones((5, 2)))
    >>> model
    Linear(in_features=2, out_features=3, bias=True)
    """

    becomes = Linear

    def __init__(self, out_features, bias=True, *, dtype=None):
        super().__init__(out_features=out_features, bias=bias, dtype=dtype)

    def missing(self, input):
        return {"in_features": self._shape(input)[-1]}
