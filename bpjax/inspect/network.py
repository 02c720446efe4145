"""The drawing of a small network: its units with weighted sum, output and delta, and the weights between them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..program import jaxprs
from ..program.jaxprs import Literal
from .names import function_of
from .replay import Replay

WIDEST, DEEPEST, EXAMPLES = 12, 8, 8  # what still can be drawn: units in a layer, layers, examples

_ACTIVATIONS = {
    "sigmoid", "logistic", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "softplus", "softsign", "max",
    "hardtanh", "hardsigmoid", "hardswish", "mish", "erf", "exp", "sin", "softmax", "log_softmax", "logsigmoid", "custom_jvp_call",
}  # fmt: skip


def network_of(replay: Replay, new: dict[str, Any]) -> dict | None:
    """The layers of a plain feed-forward network as lists of numbers; None where it is none, or too large to draw.

    {"input": (examples, in), "layers": [{"name", "activation", "sum", "output", "delta", "output_delta": (examples, out), "weight",
    "gradient", "new_weight": (out, in), "bias", "bias_gradient", "new_bias": (out,) or None, "weight_name", "turned"}]}

    "turned" says that the parameter itself is (in, out).
    """
    order = replay.modules.order
    if not 1 <= len(order) <= DEEPEST:
        return None
    layers, entered = [], None
    for module in order:
        layer = _layer(replay, module, new, entered)
        if layer is None:
            return None
        entered = layer.pop("exit")
        layers.append(layer)
    first = layers[0].pop("entered")
    for layer in layers[1:]:
        del layer["entered"]
    return {"input": first, "layers": layers}


def _layer(replay: Replay, module: str, new, before) -> dict | None:
    """One module as a fully connected layer that takes what the one before it gave."""
    own = [v for v in replay.modules.own_outputs() if replay.modules.values[v].home == module]
    weights = {name: w for name, w in replay.parameters.items() if _belongs(replay, name, module)}
    matrices = [name for name, w in weights.items() if w.ndim == 2]
    biases = [name for name, w in weights.items() if w.ndim == 1]
    if len(own) != 1 or len(matrices) != 1 or len(weights) != 1 + len(biases) or len(biases) > 1:
        return None
    if any(jnp.iscomplexobj(w) for w in weights.values()):
        return None
    output = own[0]
    entering = _entering(replay, module)
    if len(entering) != 1:
        return None
    x, a, w = _rows(replay.of(entering[0])), _rows(replay.of(output)), np.asarray(weights[matrices[0]], np.float64)
    if x is None or a is None or max(*w.shape, x.shape[1]) > WIDEST or len(x) != len(a) or len(x) > EXAMPLES:
        return None
    if before is not None and not (before.shape == x.shape and np.allclose(before, x, equal_nan=True)):
        return None
    b = np.asarray(weights[biases[0]], np.float64) if biases else 0.0
    turned = next((t for t in (False, True) if _fits(x, w.T if t else w, b, a)), None)
    if turned is None:
        return None

    def matrix(m):
        m = np.asarray(m, np.float64)
        return (m.T if turned else m).tolist()

    def vector(of):
        return np.asarray(of[biases[0]], np.float64).tolist() if biases else None

    end, name = _activation(replay, output)
    delta, behind = replay.deltas.get(output), replay.deltas.get(end)
    return {
        "name": module, "activation": name, "entered": x.tolist(), "exit": _rows(replay.of(end)),
        "sum": a.tolist(), "output": _rows(replay.of(end)).tolist(),
        "delta": np.zeros_like(a).tolist() if delta is None else _rows(delta).tolist(),
        "output_delta": np.zeros_like(a).tolist() if behind is None else _rows(behind).tolist(),
        "weight_name": matrices[0], "turned": turned,
        "weight": matrix(w), "gradient": matrix(replay.gradients[matrices[0]]), "new_weight": matrix(new[matrices[0]]),
        "bias": vector(replay.parameters), "bias_gradient": vector(replay.gradients), "new_bias": vector(new),
    }  # fmt: skip


def _fits(x, w, b, a) -> bool:
    """Whether a = x Wᵀ + b with W as (out, in)."""
    if w.shape != (a.shape[1], x.shape[1]) or np.shape(b) not in ((), a.shape[1:]):
        return False
    with np.errstate(all="ignore"):  # a network whose numbers are not finite is drawn all the same
        return np.allclose(x @ w.T + b, a, rtol=1e-4, atol=1e-6, equal_nan=True)


def _belongs(replay: Replay, name: str, module: str) -> bool:
    return any(replay.names[v] == name and replay.modules.values[v].home == module for v in replay.names)


def _entering(replay: Replay, module: str) -> list:
    """The values of other modules, or of the data, that meet this module's parameters."""
    found = []
    for eqn in replay.eqns:
        if replay.modules.home(eqn) == module and any(v in replay.modules.mixing for v in eqn.outvars):
            for v in eqn.invars:
                if not isinstance(v, Literal) and v not in found:
                    value = replay.modules.values[v]
                    if value.kind == "value" and value.home != module and jaxprs.is_differentiable(v.aval):
                        found.append(v)
    return found


def _activation(replay: Replay, v) -> tuple[Any, str]:
    """The value behind the activation that follows, and its name; the value itself and "" where none does."""
    for eqn in replay.eqns:
        inputs = [u for u in eqn.invars if not isinstance(u, Literal)]
        if inputs == [v] and function_of(eqn).removeprefix("F.") in _ACTIVATIONS and eqn.outvars[0].aval.shape == v.aval.shape:
            return eqn.outvars[0], function_of(eqn).removeprefix("F.")
    return v, ""


def _rows(x) -> np.ndarray | None:
    """As (examples, units); None for what has more axes."""
    x = np.asarray(jnp.asarray(x, jnp.float32) if x.dtype.name == "bfloat16" else x, np.float64)
    return x.reshape(1, -1) if x.ndim < 2 else x if x.ndim == 2 else None
