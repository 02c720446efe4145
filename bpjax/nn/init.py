"""PyTorch's initialisers by name, as functions of a key: `init(key, shape, dtype)`, which is what `nn.Parameter(shape, init)` takes.

Options are keyword arguments: `functools.partial(init.kaiming_normal, nonlinearity="relu")`. Nothing happens in place, so the names have no
underscore at the end. Source: https://pytorch.org/docs/stable/nn.init.html

>>> import jax
>>> from bpjax import nn
>>> weight = nn.Parameter((3, 2), nn.init.xavier_uniform)
>>> nn.init.zeros(jax.random.key(0), (2,)).tolist()
[0.0, 0.0]
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

from ..functional._shared.checks import refuse

_GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
_LINEAR = ("linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def calculate_gain(nonlinearity, param=None):
    """The factor that keeps a signal's size through this activation; `param` is leaky_relu's slope, 0.01 where None.

    >>> from bpjax import nn
    >>> round(nn.init.calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        refuse("calculate_gain", isinstance(param, bool | str) and f"leaky_relu's slope must be a number, got {param!r}", kind=ValueError)
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity not in _GAINS:
        raise ValueError(f"calculate_gain: no gain is known for {nonlinearity!r}; known are {', '.join([*_LINEAR, *_GAINS, 'leaky_relu'])}")
    return _GAINS[nonlinearity]


def uniform(key, shape, dtype=None, *, a=0.0, b=1.0):
    """U(a, b)."""
    refuse("uniform", a > b and f"a must not lie above b, got {a} and {b}")
    return jax.random.uniform(key, shape, _floating(dtype), a, b)


def normal(key, shape, dtype=None, *, mean=0.0, std=1.0):
    """N(mean, std²)."""
    refuse("normal", std < 0 and f"std must not be negative, got {std}")
    return mean + std * jax.random.normal(key, shape, _floating(dtype))


def trunc_normal(key, shape, dtype=None, *, mean=0.0, std=1.0, a=-2.0, b=2.0):
    """N(mean, std²), drawn anew where it lies outside [a, b]."""
    refuse("trunc_normal", std <= 0 and f"std must be positive, got {std}", a > b and f"a must not lie above b, got {a} and {b}")
    dtype, lower, upper = _floating(dtype), (a - mean) / std, (b - mean) / std
    if lower > 2:
        z = -_lower_tail(key, -upper, -lower, shape, dtype)
    elif upper < -2:
        z = _lower_tail(key, lower, upper, shape, dtype)
    else:
        z = jax.random.truncated_normal(key, lower, upper, shape, dtype)
    return jnp.clip(mean + std * z, a, b).astype(dtype)


def _lower_tail(key, lower, upper, shape, dtype):
    """N(0, 1) in [lower, upper] far below 0, where Φ vanishes: log Φ(z) = log(u Φ(upper) + (1 - u) Φ(lower)) by Newton's method."""
    wide = jnp.promote_types(dtype, jnp.float32)
    u = jax.random.uniform(key, shape, wide, jnp.finfo(wide).tiny, 1.0)
    log_low, log_up = (log_ndtr(jnp.asarray(z, wide)) for z in (lower, upper))
    target = log_up + jnp.log(u + (1 - u) * jnp.exp(log_low - log_up))
    z = jnp.full(shape, upper, wide)
    for _ in range(12):  # log Φ is concave: from below, no step passes the root
        z = z - (log_ndtr(z) - target) * jnp.exp(log_ndtr(z) + z * z / 2 + math.log(2 * math.pi) / 2)
    return z.astype(dtype)


def constant(key, shape, dtype=None, *, val):
    """The number `val` everywhere."""
    return jnp.full(shape, val, _floating(dtype))


def ones(key, shape, dtype=None):
    """1 everywhere."""
    return jnp.ones(shape, _floating(dtype))


def zeros(key, shape, dtype=None):
    """0 everywhere."""
    return jnp.zeros(shape, _floating(dtype))


def eye(key, shape, dtype=None):
    """1 on the diagonal of a matrix: a linear layer begins as the identity."""
    if len(shape) != 2:
        raise ValueError(f"eye: expected the shape of a matrix, got {tuple(shape)}")
    return jnp.eye(*shape, dtype=_floating(dtype))


def dirac(key, shape, dtype=None, *, groups=1):
    """A convolution that begins as the identity, in each group: 1 at the kernel's centre where output channel is input channel."""
    if len(shape) not in (3, 4, 5) or groups < 1 or shape[0] % groups:
        raise ValueError(f"dirac: expected 3 to 5 axes, the first divisible by groups={groups}, got {tuple(shape)}")
    out = shape[0] // groups
    centre = tuple(n // 2 for n in shape[2:])
    rows = [g * out + i for g in range(groups) for i in range(min(out, shape[1]))]
    columns = [i for _ in range(groups) for i in range(min(out, shape[1]))]
    return jnp.zeros(shape, _floating(dtype)).at[(jnp.array(rows, int), jnp.array(columns, int), *centre)].set(1)


def xavier_uniform(key, shape, dtype=None, *, gain=1.0):
    """U(-a, a), a = gain √(6 / (fan_in + fan_out))."""
    bound = gain * math.sqrt(6 / max(sum(_fans("xavier_uniform", shape)), 1))
    return uniform(key, shape, dtype, a=-bound, b=bound)


def xavier_normal(key, shape, dtype=None, *, gain=1.0):
    """N(0, s²), s = gain √(2 / (fan_in + fan_out))."""
    return normal(key, shape, dtype, std=gain * math.sqrt(2 / max(sum(_fans("xavier_normal", shape)), 1)))


def kaiming_uniform(key, shape, dtype=None, *, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """U(-b, b), b = gain √(3 / fan), the gain that of the activation; `a` is leaky_relu's slope."""
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform", shape, a, mode, nonlinearity)
    return uniform(key, shape, dtype, a=-bound, b=bound)


def kaiming_normal(key, shape, dtype=None, *, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """N(0, s²), s = gain / √fan, the gain that of the activation; `a` is leaky_relu's slope."""
    return normal(key, shape, dtype, std=_kaiming_std("kaiming_normal", shape, a, mode, nonlinearity))


def orthogonal(key, shape, dtype=None, *, gain=1.0):
    """A (half-)orthogonal matrix of the first axis by all others, times the gain."""
    if len(shape) < 2:
        raise ValueError(f"orthogonal: expected 2 axes or more, got {tuple(shape)}")
    rows, columns = shape[0], math.prod(shape[1:])
    tall = normal(key, (max(rows, columns), min(rows, columns)), jnp.promote_types(_floating(dtype), jnp.float32))
    Q, R = jnp.linalg.qr(tall)
    Q = Q * jnp.sign(jnp.diagonal(R))  # makes it uniform over the orthogonal matrices
    return (gain * (Q if rows >= columns else Q.T)).reshape(shape).astype(_floating(dtype))


def sparse(key, shape, dtype=None, *, sparsity, std=0.01):
    """N(0, std²) in a matrix, with the fraction `sparsity` of each column zero."""
    if len(shape) != 2:
        raise ValueError(f"sparse: expected the shape of a matrix, got {tuple(shape)}")
    chosen, values = jax.random.split(key)
    place = jax.random.uniform(chosen, shape).argsort(axis=0).argsort(axis=0)
    return jnp.where(place < math.ceil(sparsity * shape[0]), 0, normal(values, shape, dtype, std=std))


def _floating(dtype):
    return jnp.result_type(float) if dtype is None else dtype


def _fans(name, shape):
    """How many inputs an output has, and how many outputs an input."""
    if len(shape) < 2:
        raise ValueError(f"{name}: fan in and fan out need 2 axes or more, got {tuple(shape)}")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _kaiming_std(name, shape, a, mode, nonlinearity):
    mode, given = str(mode).lower(), mode
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', got {given!r}")
    fan = _fans(name, shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))
