"""What an equation computes and what its backward is, as the textbook has it: of ops from their docstrings, of primitives from here."""

import re

from ..engine import Op

_INFIX = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^", "dot_general": "@", "gt": ">", "lt": "<", "eq": "="}

_BACKWARD = {
    "add": "dx0 = dy,  dx1 = dy",
    "add_any": "dx0 = dy,  dx1 = dy",
    "sub": "dx0 = dy,  dx1 = -dy",
    "mul": "dx0 = x1 dy,  dx1 = x0 dy",
    "div": "dx0 = dy / x1,  dx1 = -x0 dy / x1²",
    "neg": "dx = -dy",
    "square": "dx = 2 x dy",
    "integer_pow": "dx = n xⁿ⁻¹ dy",
    "pow": "dx0 = x1 x0^(x1 - 1) dy,  dx1 = y log(x0) dy",
    "exp": "dx = y dy",
    "exp2": "dx = y log(2) dy",
    "expm1": "dx = (y + 1) dy",
    "log": "dx = dy / x",
    "log1p": "dx = dy / (1 + x)",
    "sqrt": "dx = dy / (2 y)",
    "rsqrt": "dx = -y dy / (2 x)",
    "cbrt": "dx = y dy / (3 x)",
    "sin": "dx = cos(x) dy",
    "cos": "dx = -sin(x) dy",
    "tan": "dx = (1 + y²) dy",
    "tanh": "dx = (1 - y²) dy",
    "logistic": "dx = y (1 - y) dy",
    "erf": "dx = 2/√π exp(-x²) dy",
    "abs": "dx = sign(x) dy",
    "max": "dx0 = dy where x0 > x1,  dx1 = dy where x1 > x0,  half at a tie",
    "min": "dx0 = dy where x0 < x1,  dx1 = dy where x1 < x0,  half at a tie",
    "clamp": "dx = dy where low < x < high",
    "select_n": "each case gets dy where it was chosen",
    "dot_general": "dx0 = dy x1ᵀ,  dx1 = x0ᵀ dy",
    "conv_general_dilated": "dx = dy convolved with the flipped kernel,  dk = x convolved with dy",
    "reduce_sum": "dx = dy, copied to every summand",
    "reduce_max": "dx = dy at the maximum, shared where several are equal",
    "reduce_min": "dx = dy at the minimum, shared where several are equal",
    "cumsum": "dx = dy summed from the other end",
    "broadcast_in_dim": "dx = dy, summed over the copies",
    "reshape": "dx = dy, reshaped back",
    "squeeze": "dx = dy, reshaped back",
    "expand_dims": "dx = dy, reshaped back",
    "transpose": "dx = dyᵀ",
    "rev": "dx = dy, turned back",
    "concatenate": "each part gets its piece of dy",
    "stack": "each part gets its piece of dy",
    "slice": "dx = dy where it was taken from, 0 elsewhere",
    "dynamic_slice": "dx = dy where it was taken from, 0 elsewhere",
    "gather": "dx = dy added where it was taken from",
    "pad": "dx = the middle of dy",
    "convert_element_type": "dx = dy in x's type",
    "stop_gradient": "dx = 0",
    "copy": "dx = dy",
    "name": "dx = dy",
}


def expression(name: str, operands: list[str], params: dict) -> str:
    """The equation as one would write it: `v1 * w`, `tanh(v3)`."""
    if name in _INFIX and len(operands) == 2:
        return f"{operands[0]} {_INFIX[name]} {operands[1]}"
    if name == "neg":
        return f"-{operands[0]}"
    if name in ("integer_pow", "square"):
        return f"{operands[0]}^{params.get('y', 2)}"
    if name in ("broadcast_in_dim", "reshape", "squeeze", "convert_element_type", "expand_dims"):
        return f"{name}({operands[0]})"
    return f"{name}({', '.join(operands)})"


def forward_formula(op: Op | None) -> str:
    """The first sentence of an op's docstring, its formula; empty for what has none."""
    first = (op.__doc__ or "").strip().split("\n")[0] if op else ""
    return first.removesuffix(".") if "=" in first else ""


def backward_formula(op: Op | None, name: str) -> str:
    """The formula of a rule: from the docstring of an op, from the table for a primitive."""
    if op is None:
        return _BACKWARD.get(name, "")
    found = re.search(r"Backward:\s*(.*?)(?:\n\s*(?:[A-Z]\w+:|>>>)|\Z)", op.__doc__ or "", re.DOTALL)
    return re.split(r"(?<=[\w)])\.(?:\s|$)|,? over all leading", " ".join(found[1].split()))[0] if found else ""
