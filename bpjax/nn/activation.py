"""Modules of activations."""

from .. import functional as F
from .module import Module


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.sigmoid`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Sigmoid()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def forward(self, input):
        return F.sigmoid(input)


class Tanh(Module):
    """y = tanh(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.tanh`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Tanh.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Tanh()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def forward(self, input):
        return F.tanh(input)


class ReLU(Module):
    """y = max(x, 0).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.relu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReLU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReLU()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.relu(input)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """y = x where x > 0, else negative_slope x.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.leaky_relu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LeakyReLU()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return F.leaky_relu(input, negative_slope=self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class ELU(Module):
    """y = x where x > 0, else α (exp(x) - 1).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.elu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ELU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ELU()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return F.elu(input, alpha=self.alpha)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """y = x Φ(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.gelu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GELU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.GELU()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """y = x σ(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.silu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.SiLU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.SiLU()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.silu(input)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Softplus(Module):
    """y = log(1 + exp(β x)) / β.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softplus`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softplus.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softplus()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, beta=1.0, threshold=20.0):
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return F.softplus(input, beta=self.beta, threshold=self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """y = exp(x) / Σ exp(x) along `dim`.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softmax`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softmax(-1)(jnp.zeros(2)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, dim=None):
        self.dim = dim

    def forward(self, input):
        return F.softmax(input, dim=self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """y = x - log Σ exp(x) along `dim`.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.log_softmax`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LogSoftmax(-1)(jnp.zeros(2)).shape
    (2,)
    """

    def __init__(self, dim=None):
        self.dim = dim

    def forward(self, input):
        return F.log_softmax(input, dim=self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
