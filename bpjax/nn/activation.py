"""Modules of activations."""

import warnings

from .. import functional as F
from .module import Module, Parameter


class _Activation(Module):
    """An activation with options, printed as PyTorch prints them."""

    _options: tuple[str, ...] = ()

    def extra_repr(self):
        printed = [f"{name}={getattr(self, name)!r}" for name in self._options]
        return ", ".join(printed + ["inplace=True"] * getattr(self, "inplace", False))


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.sigmoid`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Sigmoid()(jnp.array([0.0])).tolist()
    [0.5]
    """

    def forward(self, input):
        return F.sigmoid(input)


class LogSigmoid(Module):
    """y = log σ(x), σ the sigmoid.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.logsigmoid`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LogSigmoid()(jnp.array([100.0])).tolist()
    [-0.0]
    """

    def forward(self, input):
        return F.logsigmoid(input)


class Tanh(Module):
    """y = tanh(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.tanh`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Tanh.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Tanh()(jnp.array([0.0])).tolist()
    [0.0]
    """

    def forward(self, input):
        return F.tanh(input)


class Tanhshrink(Module):
    """y = x - tanh(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.tanhshrink`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Tanhshrink()(jnp.array([0.0])).tolist()
    [0.0]
    """

    def forward(self, input):
        return F.tanhshrink(input)


class Softsign(Module):
    """y = x / (1 + |x|).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softsign`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softsign.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softsign()(jnp.array([1.0, -3.0])).tolist()
    [0.5, -0.75]
    """

    def forward(self, input):
        return F.softsign(input)


class Softplus(_Activation):
    """y = log(1 + exp(β x)) / β; y = x where β x > threshold.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softplus`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softplus.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softplus()(jnp.array([30.0])).tolist()
    [30.0]
    """

    _options = ("beta", "threshold")

    def __init__(self, beta=1.0, threshold=20.0):
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)


class ReLU(_Activation):
    """y = max(x, 0).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.relu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReLU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReLU()(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.relu(input)


class Threshold(_Activation):
    """y = x where x > threshold, else value.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.threshold`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Threshold.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Threshold(1.0, -3.0)(jnp.array([0.5, 2.0])).tolist()
    [-3.0, 2.0]
    """

    _options = ("threshold", "value")

    def __init__(self, threshold, value, inplace=False):
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value)


class Hardtanh(_Activation):
    """y = x cut off at min_val and max_val (which PyTorch once called min_value and max_value).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.hardtanh`.
    Errors: ValueError where max_val is not greater than min_val; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Hardtanh()(jnp.array([-3.0, 0.5, 2.0])).tolist()
    [-1.0, 0.5, 1.0]
    """

    _options = ("min_val", "max_val")

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        for old, new, value in [("min_value", "min_val", min_value), ("max_value", "max_val", max_value)]:
            if value is not None:
                warnings.warn(f"Hardtanh: {old} is deprecated: say {new}", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise ValueError(f"Hardtanh: max_val must be greater than min_val, got {self.max_val} and {self.min_val}")

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val)


class ReLU6(Hardtanh):
    """y = min(max(x, 0), 6).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.relu6`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReLU6.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReLU6()(jnp.array([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    _options = ()

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def forward(self, input):
        return F.relu6(input)


class Hardsigmoid(Module):
    """y = x / 6 + 1/2 cut off at 0 and 1.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.hardsigmoid`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Hardsigmoid()(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.hardsigmoid(input)


class Hardswish(Module):
    """y = x h(x), h the hard sigmoid.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.hardswish`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardswish.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Hardswish()(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.hardswish(input)


class Hardshrink(Module):
    """y = x where |x| > λ, else 0.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.hardshrink`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Hardshrink()(jnp.array([-1.0, 0.5, 2.0])).tolist()
    [-1.0, 0.0, 2.0]
    """

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def forward(self, input):
        return F.hardshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Softshrink(Module):
    """y = x - λ sign(x) where |x| > λ, else 0.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softshrink`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softshrink.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softshrink()(jnp.array([-1.0, 0.5, 2.0])).tolist()
    [-0.5, 0.0, 1.5]
    """

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def forward(self, input):
        return F.softshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class LeakyReLU(_Activation):
    """y = x where x > 0, else negative_slope x.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.leaky_relu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LeakyReLU(0.5)(jnp.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _options = ("negative_slope",)

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope)


class PReLU(_Activation):
    """y = x where x > 0, else w x, with one parameter w in all or one for each channel (axis 1).

    Shapes: any, kept; weight (num_parameters,), `init` at first. An input (N, C, *) where num_parameters is C.
    Formula and backward: see `bpjax.functional.prelu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.PReLU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.PReLU()
    >>> model.apply(model.init(jax.random.key(0)), jnp.array([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    _options = ("num_parameters",)

    def __init__(self, num_parameters=1, init=0.25, *, dtype=None):
        self.num_parameters = num_parameters
        self.weight = Parameter((num_parameters,), init, dtype)

    def forward(self, input):
        return F.prelu(input, self.weight)


class RReLU(_Activation):
    """y = x where x > 0, else a x, a drawn from U(lower, upper) in training and their mean in evaluation.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.rrelu`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RReLU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.RReLU(0.25, 0.75)(jnp.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _options = ("lower", "upper")

    def __init__(self, lower=1 / 8, upper=1 / 3, inplace=False):
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, rng=self.next_key() if self.training else None)


class ELU(_Activation):
    """y = x where x > 0, else α (exp(x) - 1).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.elu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ELU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ELU()(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    _options = ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input):
        return F.elu(input, self.alpha)


class CELU(_Activation):
    """y = x where x > 0, else α (exp(x / α) - 1).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.celu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CELU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.CELU()(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    _options = ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input):
        return F.celu(input, self.alpha)


class SELU(_Activation):
    """y = λ x where x > 0, else λ α (exp(x) - 1), with α and λ that keep mean 0 and variance 1.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.selu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.SELU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.SELU()(jnp.array([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.selu(input)


class GELU(_Activation):
    """y = x Φ(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.gelu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GELU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.GELU()(jnp.array([0.0])).tolist()
    [0.0]
    """

    _options = ("approximate",)

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, self.approximate)


class SiLU(_Activation):
    """y = x σ(x).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.silu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.SiLU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.SiLU()(jnp.array([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.silu(input)


class Mish(_Activation):
    """y = x tanh(softplus(x)).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.mish`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Mish.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Mish()(jnp.array([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.mish(input)


class GLU(_Activation):
    """y = a σ(b), a and b being the halves of x along `dim`.

    Shapes: (*, 2 n, *) -> (*, n, *).
    Formula and backward: see `bpjax.functional.glu`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GLU.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.GLU()(jnp.array([3.0, 0.0])).tolist()
    [1.5]
    """

    _options = ("dim",)

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)
