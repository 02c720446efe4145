"""Activations: functions of each value, and the gated one; 16 bits are computed in float32. The softmax family stands in softmax.py."""

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, one_dtype, refuse
from ._shared.masks import pack, unpack
from ._shared.normal import Phi, phi
from ._shared.recipes import from_input, from_mask, from_output
from ._shared.reduction import unbroadcast


@op
def sigmoid(input):
    """y = 1 / (1 + exp(-x)).

    Shapes: any, kept.
    Backward: dx = y (1 - y) dy.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.sigmoid.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.sigmoid(jnp.array(0.0)))
    0.5
    """
    dtype = jnp.result_type(input, float)  # integers, too, as in PyTorch
    return lax.logistic(at_least_float32(input.astype(dtype))).astype(dtype)


@sigmoid.def_forward
def _(input):
    y = sigmoid.formula(input)
    return y, {"y": y} if y.dtype.itemsize > 2 else {"x": input}  # near 1, y rounded to 16 bits has lost 1 - y


@sigmoid.def_backward
def _(saved, dy):
    if "x" in saved:
        x = at_least_float32(saved["x"])
        return ((lax.logistic(x) * lax.logistic(-x) * dy).astype(dy.dtype),)
    y = saved["y"]
    return (y * (1 - y) * dy,)


@op
def tanh(input):
    """y = tanh(x).

    Shapes: any, kept.
    Backward: dx = (1 - y²) dy.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.tanh.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.tanh(jnp.array(0.0)))
    0.0
    """
    return jnp.tanh(input)


@from_output(tanh)
def _(y):
    return (1 - y) * (1 + y)


@op(static=("beta", "threshold"))
def softplus(input, beta=1.0, threshold=20.0):
    """y = log(1 + exp(β x)) / β; y = x where β x > threshold.

    Shapes: any, kept.
    Backward: dx = -expm1(-β y) dy; dx = dy where β x > threshold. (exp(-β y) is 1 - σ(β x).)
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.softplus(jnp.array(0.0))), 4)
    0.6931
    """
    floating("softplus", input=input)
    x = at_least_float32(input)
    is_linear = x * beta > threshold
    return jnp.where(is_linear, x, jnp.logaddexp(jnp.where(is_linear, 0, x * beta), 0) / beta).astype(input.dtype)


@softplus.def_forward
def _(input, beta, threshold):
    y = softplus.formula(input, beta, threshold)
    # y alone cannot tell the sides apart: just below the threshold it is already above it
    return y, {"y": y, "is_linear": pack(at_least_float32(input) * beta > threshold), "beta": beta}


@softplus.def_backward
def _(saved, dy):
    below = -jnp.expm1(-saved["beta"] * at_least_float32(saved["y"])) * dy
    return (jnp.where(unpack(saved["is_linear"], dy.shape), dy, below.astype(dy.dtype)),)


@op
def tanhshrink(input):
    """y = x - tanh(x).

    Shapes: any, kept.
    Backward: dx = tanh²(x) dy.
    Errors: TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.tanhshrink.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.tanhshrink(jnp.array(0.0)))
    0.0
    """
    _real("tanhshrink", input)
    return _tanhshrink(input)[0]


@tanhshrink.def_forward
def _(input):
    y, t = _tanhshrink(input)
    return y, {"t": t}


@tanhshrink.def_backward
def _(saved, dy):
    t = saved["t"]
    return (t * t * dy,)


def _tanhshrink(input):
    dtype = jnp.result_type(input, float)
    x = at_least_float32(input.astype(dtype))
    t = jnp.tanh(x)
    return (x - t).astype(dtype), t.astype(dtype)


@op
def softsign(input):
    """y = x / (1 + |x|).

    Shapes: any, kept.
    Backward: dx = dy / (1 + |x|)², recomputed from x.
    Errors: TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softsign.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.softsign(jnp.array(1.0)))
    0.5
    """
    _real("softsign", input)
    return input / (1 + jnp.abs(input))


@softsign.def_forward
def _(input):
    return softsign.formula(input), {"x": input}


@softsign.def_backward
def _(saved, dy):
    r = 1 / (1 + jnp.abs(saved["x"]))
    return (r * r * dy,)


# -- in linear pieces: the backward needs which of them an input lies on -----------------------------------------------


@op(static=("inplace",))
def relu(input, inplace=False):
    """y = max(x, 0), with derivative 0 at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else 0; the mask is kept 8 to the byte.
    Errors: TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.relu(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    _real("relu", input)
    return jnp.where(input <= 0, 0, input)  # NaN stays NaN


@from_mask(relu, recompute=True, of_output=True)
def _(x):
    return x <= 0


@op(static=("threshold", "value", "inplace"))
def threshold(input, threshold, value, inplace=False):
    """y = x where x > threshold, else value; derivative 0 at the threshold.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > threshold, else 0; the mask is kept 8 to the byte.
    Errors: TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.threshold(jnp.array([0.5, 2.0]), 1.0, -3.0).tolist()
    [-3.0, 2.0]
    """
    _real("threshold", input)
    return jnp.where(input <= threshold, value, input).astype(input.dtype)


@from_mask(threshold)
def _(x, threshold):
    return x <= threshold


@op(static=("min_val", "max_val", "inplace"))
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """y = x cut off at min_val and max_val; derivative 0 at both.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where min_val < x < max_val, else 0; the mask is kept 8 to the byte.
    Errors: ValueError where min_val > max_val, or for negative limits of an unsigned type; TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.hardtanh.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.hardtanh(jnp.array([-3.0, 0.5, 2.0])).tolist()
    [-1.0, 0.5, 1.0]
    """
    return _clipped("hardtanh", input, min_val, max_val)


@from_mask(hardtanh)
def _(x, min_val, max_val):
    return (x <= min_val) | (x >= max_val)


@op(static=("inplace",))
def relu6(input, inplace=False):
    """y = min(max(x, 0), 6), with derivative 0 at 0 and at 6.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where 0 < x < 6, else 0; the mask is kept 8 to the byte.
    Errors: TypeError for booleans.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.relu6.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.relu6(jnp.array([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    """
    return _clipped("relu6", input, 0.0, 6.0)


@from_mask(relu6, recompute=True, of_output=True)
def _(x):
    return (x <= 0) | (x >= 6)


@op(static=("inplace",))
def hardsigmoid(input, inplace=False):
    """y = x / 6 + 1/2 cut off at 0 and 1, that is at x = ±3; derivative 0 at both.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy / 6 where -3 < x < 3, else 0; the mask is kept 8 to the byte.
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.hardsigmoid.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.hardsigmoid(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    floating("hardsigmoid", input=input)
    x = at_least_float32(input)
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, x / 6 + 0.5)).astype(input.dtype)


@hardsigmoid.def_forward
def _(input, inplace):
    return hardsigmoid.formula(input), {"off": pack((input <= -3) | (input >= 3))}


@hardsigmoid.def_backward
def _(saved, dy):
    return (jnp.where(unpack(saved["off"], dy.shape), 0, dy / 6),)


@op(static=("lambd",))
def hardshrink(input, lambd=0.5):
    """y = x where |x| > λ, else 0; derivative 0 at ±λ.

    Shapes: any, kept.
    Backward: dx = dy where |x| > λ, else 0; the mask is kept 8 to the byte.
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.hardshrink.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.hardshrink(jnp.array([-1.0, 0.5, 2.0])).tolist()
    [-1.0, 0.0, 2.0]
    """
    floating("hardshrink", input=input)
    return jnp.where(jnp.abs(input) <= lambd, 0, input)


@from_mask(hardshrink)
def _(x, lambd):
    return jnp.abs(x) <= lambd


@op(static=("lambd",))
def softshrink(input, lambd=0.5):
    """y = x - λ sign(x) where |x| > λ, else 0; derivative 0 at ±λ.

    Shapes: any, kept.
    Backward: dx = dy where |x| > λ, else 0; the mask is kept 8 to the byte.
    Errors: ValueError for a negative λ; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softshrink.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.softshrink(jnp.array([-1.0, 0.5, 2.0])).tolist()
    [-0.5, 0.0, 1.5]
    """
    floating("softshrink", input=input)
    refuse("softshrink", lambd < 0 and f"lambd must not be negative, got {lambd}")
    return jnp.where(jnp.abs(input) <= lambd, 0, input - lambd * jnp.sign(input))


@from_mask(softshrink)
def _(x, lambd):
    return jnp.abs(x) <= lambd


@op(static=("negative_slope", "inplace"))
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """y = x where x > 0, else a x, a being negative_slope; derivative a at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else a dy; the mask is kept 8 to the byte.
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.leaky_relu(jnp.array([-1.0, 2.0]), 0.5).tolist()
    [-0.5, 2.0]
    """
    floating("leaky_relu", input=input)
    return jnp.where(input > 0, input, negative_slope * input)


@from_mask(leaky_relu, factor="negative_slope", recompute=True)
def _(x):
    return ~(x > 0)  # NaN is cut off, too


@op
def prelu(input, weight):
    """y = x where x > 0, else w x, with one w in all or one for each channel (axis 1); derivative w at 0.

    Shapes: input any, weight () or (1,), or (C,) for an input (N, C, *) -> as input.
    Backward: dx = dy where x > 0, else w dy;  dw = Σ x dy over where x <= 0 (of its channel).
    Errors: ValueError where the weight does not fit the channels; TypeError for several dtypes, or what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.prelu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.prelu(jnp.array([[-1.0, -1.0, 2.0]]), jnp.array([0.5, 0.25, 0.5])).tolist()
    [[-0.5, -0.25, 2.0]]
    """
    one_dtype("prelu", input=input, weight=weight)
    floating("prelu", input=input, weight=weight)
    if weight.ndim > 1 or (weight.size != 1 and (input.ndim < 2 or input.shape[1] != weight.size)):
        shapes = f"input {input.shape}, weight {weight.shape}"
        raise ValueError(f"prelu: expected one weight, or weight (C,) for an input (N, C, *), got {shapes}")
    return jnp.where(input > 0, input, _by_channel(weight, input) * jnp.where(input > 0, 0, input))


@prelu.def_forward
def _(input, weight):
    return prelu.formula(input, weight), {"x": input, "w": weight}


@prelu.def_backward
def _(saved, dy):
    x, w = saved["x"], _by_channel(saved["w"], saved["x"])
    dw = unbroadcast(jnp.where(x > 0, 0, x) * dy, w)
    return jnp.where(x > 0, dy, w * dy), dw.reshape(saved["w"].shape)


@prelu.def_vmap
def _(size, mapped, input, weight):
    if mapped["weight"]:
        return None
    if weight.size == 1:
        return prelu(input, weight)
    return prelu(input.reshape(input.shape[0] * input.shape[1], *input.shape[2:]), weight).reshape(input.shape)


def _by_channel(w, x):
    """The weight of `prelu` in a shape that broadcasts with the input."""
    return w.reshape(()) if w.size == 1 else w.reshape(-1, *(1,) * (x.ndim - 2))


@op(static=("lower", "upper", "training", "inplace"))
def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False, *, rng=None):
    """y = x where x > 0, else a x, a drawn from U(lower, upper) for each value; in evaluation a = (lower + upper) / 2. Derivative a at 0.

    Shapes: any, kept. `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else a dy; in training the slopes are kept, in evaluation the mask 8 to the byte.
    Errors: ValueError where lower > upper, or where training needs an rng and has none; TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1505.00853, https://pytorch.org/docs/stable/generated/torch.nn.functional.rrelu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rrelu(jnp.array([-1.0, 2.0]), 0.25, 0.75).tolist()
    [-0.5, 2.0]
    """
    floating("rrelu", input=input)
    refuse(
        "rrelu",
        lower > upper and f"lower must not lie above upper, got {lower} and {upper}",
        training and rng is None and "training needs rng=, a key such as jax.random.key(0)",
    )
    if not training:
        return leaky_relu.formula(input, (lower + upper) / 2)
    return _drawn_slopes(input, lower, upper, rng) * input


@rrelu.def_forward
def _(input, lower, upper, training, inplace, rng):
    y = rrelu.formula(input, lower, upper, training, rng=rng)
    if not training:
        return y, {"slopes": None, "on": pack(input > 0), "a": (lower + upper) / 2}
    return y, {"slopes": _drawn_slopes(input, lower, upper, rng)}


@rrelu.def_backward
def _(saved, dy):
    if saved["slopes"] is not None:
        return saved["slopes"] * dy, None
    return jnp.where(unpack(saved["on"], dy.shape), dy, saved["a"] * dy), None


def _drawn_slopes(x, lower, upper, rng):
    u = jax.random.uniform(rng, x.shape, jnp.float32).astype(x.dtype)  # in float32, so that every precision draws the same
    return jnp.where(x > 0, 1, lower + (upper - lower) * u)


# -- linear above 0, exponential below ---------------------------------------------------------------------------------


@op(static=("alpha", "inplace"))
def elu(input, alpha=1.0, inplace=False):
    """y = x where x > 0, else α (exp(x) - 1); derivative α at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else (y + α) dy. The sign of y tells the sides apart, save for a negative α, where a mask does.
    y alone is kept, so a slope is as exact as y is: to a rounding of α, beneath which it is 0.
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.elu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.elu(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    floating("elu", input=input)
    return _exponential_below(input, alpha)


@elu.def_forward
def _(input, alpha, inplace):
    y = elu.formula(input, alpha)
    return y, {"y": y, "on": pack(input > 0) if alpha < 0 else None, "alpha": alpha}


@elu.def_backward
def _(saved, dy):
    y = saved["y"]
    on = y > 0 if saved["on"] is None else unpack(saved["on"], dy.shape)
    return (jnp.where(on, dy, (y + saved["alpha"]) * dy),)


@op(static=("alpha", "inplace"))
def celu(input, alpha=1.0, inplace=False):
    """y = x where x > 0, else α (exp(x / α) - 1); derivative 1 at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where y > 0, else (y / α + 1) dy; a slope beneath a rounding of 1 is 0, as in `elu`.
    Errors: ValueError for α = 0; TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1704.07483, https://pytorch.org/docs/stable/generated/torch.nn.functional.celu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.celu(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    floating("celu", input=input)
    refuse("celu", alpha == 0 and "alpha must not be 0")
    return _exponential_below(input, alpha, rate=1 / alpha)


@from_output(celu)
def _(y, alpha):
    return jnp.where(y > 0, 1, y / alpha + 1)


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@op(static=("inplace",))
def selu(input, inplace=False):
    """y = λ x where x > 0, else λ α (exp(x) - 1), with α ≈ 1.6733 and λ ≈ 1.0507, which keep mean 0 and variance 1; derivative λ α at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = λ dy where y > 0, else (y + λ α) dy; a slope beneath a rounding of λ α is 0, as in `elu`.
    Errors: TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1706.02515, https://pytorch.org/docs/stable/generated/torch.nn.functional.selu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.selu(jnp.array(1.0))), 4)
    1.0507
    """
    floating("selu", input=input)
    return _exponential_below(input, _SELU_SCALE * _SELU_ALPHA, above=_SELU_SCALE)


@from_output(selu)
def _(y):
    return jnp.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)


def _exponential_below(x, alpha, rate=1, above=1):
    """above · x above 0, else alpha (exp(rate x) - 1)."""
    return jnp.where(x > 0, above * x, alpha * jnp.expm1(rate * jnp.where(x > 0, 0, x)))


# -- smooth, with a derivative that is recomputed from the input -------------------------------------------------------


@op(static=("approximate",))
def gelu(input, approximate="none"):
    """y = x Φ(x), Φ the normal distribution function; with approximate="tanh", Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    Shapes: any, kept.
    Backward: dx = (Φ(x) + x φ(x)) dy, φ = Φ' the density; with "tanh", φ is the derivative of the approximation. Only x is kept, and the
    derivative recomputed from it once dy is there: before, XLA would merge the recomputation with the forward and keep more.
    Errors: ValueError for another `approximate`; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.gelu(jnp.array(0.0)))
    0.0
    """
    floating("gelu", input=input)
    refuse("gelu", approximate not in ("none", "tanh") and f"approximate must be 'none' or 'tanh', got {approximate!r}")
    x = at_least_float32(input)
    return (x * Phi(x, approximate)).astype(input.dtype)


@from_input(gelu)
def _(x, approximate):
    x = at_least_float32(x)
    return Phi(x, approximate) + x * phi(x, approximate)


@op(static=("inplace",))
def silu(input, inplace=False):
    """y = x σ(x), σ the sigmoid.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = σ(x) (1 + x (1 - σ(x))) dy, recomputed from x once dy is there (see `gelu`).
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.silu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.silu(jnp.array(0.0)))
    0.0
    """
    floating("silu", input=input)
    x = at_least_float32(input)
    return (x * lax.logistic(x)).astype(input.dtype)


@from_input(silu)
def _(x):
    x = at_least_float32(x)
    s = lax.logistic(x)
    return s * (1 + x * (1 - s))


@op
def logsigmoid(input):
    """y = log σ(x), σ the sigmoid.

    Shapes: any, kept.
    Backward: dx = σ(-x) dy, recomputed from x once dy is there (see `gelu`).
    Errors: TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.logsigmoid(jnp.array(0.0))), 4)
    -0.6931
    """
    floating("logsigmoid", input=input)
    return -jnp.logaddexp(-at_least_float32(input), 0).astype(input.dtype)


@from_input(logsigmoid)
def _(x):
    return lax.logistic(-at_least_float32(x))


@op(static=("inplace",))
def mish(input, inplace=False):
    """y = x tanh(softplus(x)).

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = (t + x (1 - t²) σ(x)) dy, t = tanh(softplus(x)), recomputed from x once dy is there (see `gelu`).
    Errors: TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1908.08681, https://pytorch.org/docs/stable/generated/torch.nn.functional.mish.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.mish(jnp.array(0.0)))
    0.0
    """
    floating("mish", input=input)
    x = at_least_float32(input)
    return (x * jnp.tanh(jnp.logaddexp(x, 0))).astype(input.dtype)


@from_input(mish)
def _(x):
    x = at_least_float32(x)
    t = jnp.tanh(jnp.logaddexp(x, 0))
    return t + x * (1 - t) * (1 + t) * lax.logistic(x)


@op(static=("inplace",))
def hardswish(input, inplace=False):
    """y = x h(x), h the `hardsigmoid`: 0 for x <= -3, x for x >= 3; derivative 0 at -3 and 1 at 3.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = (x / 3 + 1/2) dy where -3 < x < 3; 0 below and dy above. Recomputed from x once dy is there (see `gelu`).
    Errors: TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1905.02244, https://pytorch.org/docs/stable/generated/torch.nn.functional.hardswish.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.hardswish(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """
    floating("hardswish", input=input)
    x = at_least_float32(input)
    middle = jnp.where(jnp.abs(x) >= 3, 0, x)
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, middle * (middle / 6 + 0.5))).astype(input.dtype)


@hardswish.def_forward
def _(input, inplace):
    return hardswish.formula(input), {"x": input}


@hardswish.def_backward(recomputes="x")
def _(saved, dy):
    x = saved["x"]
    x = at_least_float32(x)
    return (jnp.where(x <= -3, 0, jnp.where(x >= 3, dy, (x / 3 + 0.5) * dy)).astype(dy.dtype),)


@hardswish.def_recompute
def _(saved):
    return hardswish.formula(saved["x"])


@op(static=("dim",))
def glu(input, dim=-1):
    """y = a σ(b), a and b being the halves of x along `dim`, σ the sigmoid.

    Shapes: (*, 2 n, *) -> (*, n, *).
    Backward: da = σ(b) dy;  db = a σ(b) (1 - σ(b)) dy, recomputed from x once dy is there (see `gelu`).
    Errors: ValueError where `dim` is no axis, or its size is odd; TypeError for what is not floating point.
    Source: https://arxiv.org/abs/1612.08083, https://pytorch.org/docs/stable/generated/torch.nn.functional.glu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.glu(jnp.array([3.0, 0.0])).tolist()
    [1.5]
    """
    floating("glu", input=input)
    if not -input.ndim <= dim < input.ndim or input.shape[dim] % 2:
        raise ValueError(f"glu: expected an axis dim={dim} of even size to halve, got shape {input.shape}")
    a, b = jnp.split(at_least_float32(input), 2, dim)
    return (a * lax.logistic(b)).astype(input.dtype)


@glu.def_forward
def _(input, dim):
    return glu.formula(input, dim), {"x": input, "dim": dim}


@glu.def_backward(recomputes="x")
def _(saved, dy):
    x = saved["x"]
    a, b = jnp.split(at_least_float32(x), 2, saved["dim"])
    s = lax.logistic(b)
    return (jnp.concatenate([s * dy, a * s * (1 - s) * dy], saved["dim"]).astype(x.dtype),)


@glu.def_recompute
def _(saved):
    return glu.formula(saved["x"], saved["dim"])


# -- what they share ---------------------------------------------------------------------------------------------------


def _real(name, x):
    """Refuse booleans and complex numbers; integers pass, as in PyTorch."""
    if not (jnp.issubdtype(x.dtype, jnp.floating) or jnp.issubdtype(x.dtype, jnp.integer)):
        raise TypeError(f"{name}: expected real numbers, got {x.dtype}: convert with .astype")


def _clipped(name, x, low, high):
    _real(name, x)
    refuse(
        name,
        low > high and f"min_val must not lie above max_val, got {low} and {high}",
        jnp.issubdtype(x.dtype, jnp.unsignedinteger) and min(low, high) < 0 and f"{x.dtype} has no negative limits, got {low} and {high}",
    )
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x)).astype(x.dtype)  # NaN stays NaN
