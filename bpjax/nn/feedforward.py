"""Feed-forward blocks with a gate."""

from .. import functional as F
from .linear import Linear
from .module import Module


class _Gated(Module):
    """What the blocks share: their projections."""

    def __init__(self, in_features, hidden_features, out_features=None, bias=False, *, dtype=None):
        self.in_features = in_features
        self.hidden_features = hidden_features
        self.out_features = in_features if out_features is None else out_features
        self.gate_proj = Linear(in_features, hidden_features, bias, dtype=dtype)
        self.up_proj = Linear(in_features, hidden_features, bias, dtype=dtype)
        self.down_proj = Linear(hidden_features, self.out_features, bias, dtype=dtype)


class SwiGLU(_Gated):
    """y = W_down (silu(W_gate x) W_up x), with biases where asked for; out_features is in_features where None.

    Shapes: (*, in_features) -> (*, out_features); the projections gate_proj, up_proj and down_proj are `Linear`.
    Formula and backward: see `bpjax.functional.swiglu`.
    Errors: ValueError where the last dimension is not in_features; those of the function.
    Source: https://arxiv.org/abs/2002.05202

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.SwiGLU(4, 8)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 4))).shape
    (3, 4)
    """

    def forward(self, input):
        return self.down_proj(F.swiglu(self.gate_proj(input), self.up_proj(input)))


class GEGLU(_Gated):
    """y = W_down (gelu(W_gate x) W_up x), with biases where asked for; out_features is in_features where None.

    Shapes: (*, in_features) -> (*, out_features); the projections gate_proj, up_proj and down_proj are `Linear`.
    Formula and backward: see `bpjax.functional.geglu`.
    Errors: ValueError where the last dimension is not in_features, or for another `approximate` than "none" or "tanh".
    Source: https://arxiv.org/abs/2002.05202

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.GEGLU(4, 8, approximate="tanh")
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 4))).shape
    (3, 4)
    """

    def __init__(self, in_features, hidden_features, out_features=None, bias=False, *, approximate="none", dtype=None):
        super().__init__(in_features, hidden_features, out_features, bias, dtype=dtype)
        self.approximate = approximate

    def forward(self, input):
        return self.down_proj(F.geglu(self.gate_proj(input), self.up_proj(input), self.approximate))

    def extra_repr(self):
        return f"approximate={self.approximate!r}"
