"""`explain`: back-propagation of a small network worked out in full, as a table in the terminal and as a page."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine
from ..engine import Missing, op_of, rule_of
from ..program import jaxprs
from ..program.jaxprs import Literal
from ..program.modules import owner_of
from .cost import saved_bytes
from .formulas import backward_formula, expression, forward_formula
from .health import health
from .names import function_of
from .network import network_of
from .replay import Replay
from .tables import aligned

WHOLE = 12  # arrays of up to so many numbers are shown whole
PAGE, ROWS = 66, 5  # lines of a page; rows of a table that are left where all would take more than that


class Explanation:
    """What `explain` returns: `print` it, or `save` it as an HTML page. `steps` holds one dict for each step of training.

    As text it is at most a page, shortened where need be; `full` says that all of it is wanted, as `text(full=True)` gives it.
    """

    def __init__(self, title: str, learning_rate: float, modules: list[dict], steps: list[dict], full=False, unruled=(), borrowed=()):
        self.unruled, self.borrowed = unruled, borrowed  # equations that have no backward rule; and those that JAX lent one
        self.title, self.learning_rate, self.modules, self.steps, self.full = title, learning_rate, modules, steps, full

    def __str__(self):
        return self.text(self.full)

    def text(self, full: bool = True) -> str:
        """All of it; or with `full=False` at most a page: the first step, and of each table the first rows and the last."""
        last = len(self.steps) - 1
        lines = [f"{self.title}: {last} step(s) of gradient descent at learning rate {self.learning_rate:g}", ""]
        if self.unruled:
            lines[1:1] = [
                f"no backward rule for {', '.join(self.unruled[:3])}: the deltas behind it are not known, nan, and its weights stay"
            ]
        if self.borrowed:
            lines[1:1] = [f"borrowed from JAX: {', '.join(self.borrowed[:3])}"]
        body = [line for i, step in enumerate(self.steps) for line in (*self._step(i, step, _grouped), "")]
        modules = ["modules: what each saved for the backward pass, and passed back"]
        if full or len(lines) + len(body) + len(modules) + len(self.modules) + 1 <= PAGE:
            return "\n".join([*lines, *body, *modules, *_table(self.modules)])
        body = [*self._step(0, self.steps[0], _shortened), "", f"after {last} step(s): loss {self.steps[-1]['loss']}", ""]
        table = _table([self.modules[i] for i in _ends(len(self.modules))]) + _more(len(self.modules), "  ")
        hint = ["", "Shortened to a page: explain(..., full=True) prints all of it, save(file) writes it as an HTML page."]
        return "\n".join([*lines, *body, *modules, *table, *hint])

    def _step(self, i: int, step: dict, table: Callable) -> list[str]:
        last = len(self.steps) - 1
        lines = [f"== {f'after {i} step(s)' if i == last else f'step {i}'}: loss {step['loss']} =="]
        lines += ["", "forward", *table(step["forward"], ("value", "expression", "formula", "numbers"))]
        if i < last:
            lines += ["", "backward (delta = dL/dv)"]
            lines += table(step["backward"], ("delta", "rule", "formula", "numbers", "downhill"))
            lines += ["", "update (new = old - learning rate * gradient)"]
            lines += table(step["update"], ("weight", "old", "gradient", "new"))
        return lines

    def save(self, file: str | Path) -> Path:
        """Write the page: one self-contained HTML file with the tables, and a drawing of the network where it is small."""
        template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
        data = {"title": self.title, "learning_rate": self.learning_rate, "modules": self.modules, "steps": self.steps}
        text = json.dumps(data).replace("<", "\\u003c")
        Path(file).write_text(template.replace("/*DATA*/null", text), encoding="utf-8")
        return Path(file)


def explain(
    f: Callable,
    *args,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    learning_rate: float = 0.1,
    steps: int = 1,
    full: bool = False,
    **kwargs,
) -> Explanation:
    """Back-propagation of `f` worked out: every value, every delta with the rule that made it, and the update of every weight.

    Args:
        f: a scalar loss, any that `bpjax.grad` takes. Small networks are shown number by number, large ones by module.
        args, kwargs: its arguments; argnums: those that hold the weights; has_aux: whether `f` returns `(value, aux)`.
        learning_rate: of gradient descent; steps: how many updates are shown, at least 1.
        full: whether the text holds every row of every table, however many; else it is at most a page. The HTML page holds them all.

    Errors: ValueError where the loss is not a scalar, or for a learning rate or a number of steps that is not positive.

    >>> import jax.numpy as jnp, bpjax
    >>> explanation = bpjax.explain(lambda w, x: jnp.tanh(w * x), jnp.array(0.5), jnp.array(2.0), learning_rate=1.0)
    >>> print([row["numbers"] for row in explanation.steps[0]["forward"]])
    ['1.000000', '0.761594']
    """
    if not learning_rate > 0 or steps < 1:
        raise ValueError(f"explain: learning_rate and steps must be positive, got {learning_rate} and {steps}")
    args, title = list(args), getattr(f, "__name__", type(f).__name__)
    numbers = engine.chosen_arguments(engine.argument_numbers(f, argnums), args)
    given, shown = args, []
    with engine.lent() as borrowed:
        for _ in range(steps + 1):
            replay = Replay(f, args, kwargs, argnums, has_aux)
            if len(replay.value) != 1 or jnp.shape(replay.value[0]):
                raise ValueError(f"explain needs a scalar loss, but {title} returned {[jnp.shape(v) for v in replay.value]}")
            replay.back()
            named = _Names(replay)
            new = {name: w - learning_rate * replay.gradients[name] for name, w in replay.parameters.items()}
            if replay.unruled.met:
                new = {name: w if bool(jnp.all(jnp.isfinite(w))) else replay.parameters[name] for name, w in new.items()}
            shown.append({
                "loss": _text(replay.value[0]),
                "forward": _forward(replay, named),
                "backward": _backward(replay, named),
                "update": [_update(replay, name, new[name]) for name in replay.parameters],
                "network": network_of(replay, new),
            })  # fmt: skip
            args = _updated(args, numbers, new)
        modules = _modules(f, given, kwargs, argnums, has_aux, replay.bare)
    return Explanation(title, learning_rate, modules, shown, full, replay.unruled.met, tuple(dict.fromkeys(borrowed)))


def _modules(f, args, kwargs, argnums, has_aux, names) -> list[dict]:
    """For each module what it saved, by hand and automatically, and what it passed back of its delta; `names` of bare arguments."""
    saved = saved_bytes(f, args, kwargs, argnums, has_aux)
    found = health(f, argnums, has_aux)(*args, **kwargs).health
    columns = zip(found.modules, np.asarray(found.delta), np.asarray(found.outgoing), np.asarray(found.incoming))
    return [
        {
            "module": names.get(module, module),
            "saved, hand": f"{saved[module][0]:,} B",
            "saved, auto": f"{saved[module][1]:,} B",
            "|delta|": f"{delta:.3e}",
            "passed back": f"{outgoing:.3e}" if outgoing else "-",
            "gain": f"{outgoing / incoming:.3g}" if outgoing and incoming else "-",
        }
        for module, delta, outgoing, incoming in columns
    ]


class _Names:
    """What each variable is called: parameters and arguments by their own names, values v1, v2, ..."""

    def __init__(self, replay: Replay):
        self.names = dict(replay.names)
        for eqn in replay.eqns:
            for v in eqn.outvars:
                self.names[v] = f"v{len(self.names) - len(replay.names) + 1}"

    def __call__(self, atom) -> str:
        return _text(atom.val) if isinstance(atom, Literal) else self.names[atom]


def _forward(replay: Replay, name: _Names) -> list[dict]:
    """A row for each value: where, what it is called, how it is made, and its numbers."""
    rows = []
    for eqn in replay.eqns:
        op = op_of(rule_of(eqn))
        call = expression(function_of(eqn).removeprefix("F."), [name(v) for v in eqn.invars], eqn.params)
        for v in eqn.outvars:
            rows.append({"module": replay.where(eqn), "value": name(v), "expression": call, "formula": forward_formula(op),
                         "numbers": _text(replay.of(v))})  # fmt: skip
    return rows


def _backward(replay: Replay, name: _Names) -> list[dict]:
    """A row for each delta that a rule makes, from the loss to the inputs; where several add up, a row for their sum."""
    rows = []
    uses: dict[Any, int] = {}
    for record in replay.records:
        for v, dx in zip(record.eqn.invars, replay.dxs.get(record.eqn, ())):
            if dx is not None:
                uses[v] = uses.get(v, 0) + 1
    left = dict(uses)
    for record in reversed(replay.records):
        eqn = record.eqn
        if eqn not in replay.dxs:
            continue
        op, rule = op_of(record.rule), function_of(eqn, record.rule)
        borrowed = "borrowed: jax.vjp of it" if isinstance(record.rule, Missing) else ""
        formula = "no backward rule" if eqn in replay.unruled.errors else borrowed or backward_formula(op, rule)
        for v, dx in zip(eqn.invars, replay.dxs[eqn]):
            if dx is None:
                continue
            row = {"module": replay.where(eqn), "delta": f"d {name(v)}", "rule": rule, "formula": formula}
            rows.append(row | {"numbers": _text(dx), "downhill": _text(-dx)})
            left[v] -= 1
            if uses[v] > 1 and not left[v]:
                total = replay.deltas[v]
                row |= {"rule": "sum", "formula": f"of its {uses[v]} uses"}
                rows.append(row | {"numbers": _text(total), "downhill": _text(-total)})
    return rows


def _update(replay: Replay, parameter: str, new) -> dict:
    old, gradient = replay.parameters[parameter], replay.gradients[parameter]
    module = "" if owner_of(parameter) in replay.at_the_root else owner_of(parameter)
    return {"module": module, "weight": parameter, "old": _text(old), "gradient": _text(gradient), "new": _text(new)}


def _updated(args: Sequence[Any], numbers: Sequence[int], new: dict) -> list:
    """The arguments with the new weights in place of the old ones."""
    flat, tree = jax.tree_util.tree_flatten([args[n] for n in numbers])
    fresh = iter(new.values())
    chosen = jax.tree.unflatten(tree, [next(fresh) if jaxprs.is_inexact(x) else x for x in flat])
    args = list(args)
    for n, value in zip(numbers, chosen):
        args[n] = value
    return args


def _text(x) -> str:
    """A number or a small array in full, with six decimals; a large array by shape, mean, spread, zeros and what is not finite."""
    if jnp.issubdtype(jnp.result_type(x), jax.dtypes.prng_key):
        return f"{jnp.result_type(x)}{list(jnp.shape(x))}"
    x = np.asarray(x)
    if not jaxprs.is_inexact(x):
        return str(x.tolist()) if x.size <= WHOLE else f"{x.dtype.name}{list(x.shape)}"
    of, x = ("sizes ", np.asarray(x, complex)) if np.iscomplexobj(x) else ("", np.asarray(x, np.float64))
    if x.size <= WHOLE:
        return _nested(x)
    finite = np.abs(x[np.isfinite(x)]) if of else x[np.isfinite(x)]
    of_finite = f"{of}mean {finite.mean():.3e}, spread {finite.std():.3e}, {np.mean(x == 0):.0%} zeros" if finite.size else "nothing finite"
    return f"{list(x.shape)} {of_finite}" + (f", {x.size - finite.size} not finite" if finite.size < x.size else "")


def _nested(x: np.ndarray) -> str:
    return _decimal(x[()]) if x.ndim == 0 else "[" + ", ".join(map(_nested, x)) + "]"


def _decimal(x: Any) -> str:
    """Six decimals, or six digits where those would show nothing; of a complex number, for each part."""
    if np.iscomplexobj(x):
        return f"{_decimal(x.real)}{'-' if np.signbit(x.imag) else '+'}{_decimal(abs(x.imag))}j"
    return f"{x:.6f}" if x == 0 or 1e-6 <= abs(x) < 1e6 else f"{x:.6e}"


def _grouped(rows: list[dict], columns: Sequence[str]) -> list[str]:
    """The rows as lines of a table, under the name of each module."""
    rows = [{c: cell if c == "numbers" or len(cell) <= 60 else cell[:59] + "…" for c, cell in row.items()} for row in rows]
    widths = {c: max([len(r[c]) for r in rows] + [len(c)]) for c in columns}
    lines, module = ["    " + "  ".join(c.ljust(widths[c]) for c in columns).rstrip()], None
    for row in rows:
        if row["module"] != module:
            module = row["module"]
            lines.append(f"  [{module or 'outside any module'}]")
        lines.append("    " + "  ".join(row[c].ljust(widths[c]) for c in columns).rstrip())
    return lines


def _ends(n: int) -> list[int]:
    """The numbers of the rows that a shortened table keeps."""
    return list(range(n)) if n <= ROWS else [*range(ROWS // 2 + 1), *range(n - ROWS // 2, n)]


def _more(n: int, indent: str = "    ") -> list[str]:
    return [f"{indent}… {n - ROWS} of {n} rows are left out, behind the first {ROWS // 2 + 1}"] if n > ROWS else []


def _shortened(rows: list[dict], columns: Sequence[str]) -> list[str]:
    """The same of the first rows and the last."""
    return _grouped([rows[i] for i in _ends(len(rows))], columns) + _more(len(rows))


def _table(rows: list[dict]) -> list[str]:
    if not rows:
        return ["  (none)"]
    head = list(rows[0])
    return [f"  {line}" for line in aligned([head, *([str(row[c]) for c in head] for row in rows)])]
