"""`bpjax.op`: a layer with a backward of its own.

A call of an op is one equation of the primitive `op` (see `program/call.py`), whose parameter `call` is its rule: the op, its static
arguments, the structure of its array arguments. JAX differentiates the formula in it; the sweep runs the written halves. The formula and
each half are traced once for each signature.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np

from ..program import jaxprs
from ..program.call import Bounded, Call
from ..program.places import here
from .errors import GradientError, HalfAnOpError, RuleError
from .hooks import unhooked
from .recompute import after
from .saved import RecomputeOnly
from .sweep import source_of
from .written import SHAPES, Half, Halves, Written, present, spread

P = ParamSpec("P")
R = TypeVar("R")
_calls = Bounded(1024)


@overload
def op(formula: Callable[P, R]) -> "Op[P, R]": ...
@overload
def op(*, static: Sequence[str] = ()) -> Callable[[Callable[P, R]], "Op[P, R]"]: ...
def op(formula: Callable | None = None, *, static: Sequence[str] = ()) -> Any:
    """Make a function of arrays an operation with its own, hand-written backward.

    Args:
        formula: the plain formula, in `jnp`: what runs, and what `jax.grad` differentiates.
        static: names of the arguments that are not arrays (hashable; lists become tuples).

    Then declare `op.def_forward`, which returns the same value and a dict of what the backward needs, and `op.def_backward`,
    which takes that dict and the cotangent of the value and returns a tuple of cotangents, one for each argument that is not
    static (None for an argument that is None or holds integers). Where the value is cheap to make from that dict, declare
    `op.def_recompute`: what keeps the value as its own input then keeps nothing.

    >>> import jax.numpy as jnp, bpjax
    >>> @bpjax.op
    ... def square(x):
    ...     return x * x
    >>> @square.def_forward
    ... def _(x):
    ...     return x * x, {"x": x}
    >>> @square.def_backward
    ... def _(saved, dy):
    ...     return (2 * saved["x"] * dy,)
    >>> float(bpjax.grad(square)(3.0))
    6.0
    """
    if formula is None:
        return functools.partial(op, static=static)
    return Op(formula, (static,) if isinstance(static, str) else tuple(static))


class Op(Generic[P, R]):
    """A function with a hand-written backward. Made by `bpjax.op`."""

    __name__: str
    __qualname__: str

    def __init__(self, formula: Callable[P, R], static: tuple[str, ...]):
        functools.update_wrapper(self, formula)
        self.formula, self.static = formula, static
        self.signature = inspect.signature(formula)
        unknown = set(static) - set(self.signature.parameters)
        if unknown:
            raise TypeError(
                f"op {formula.__name__}: static names {sorted(unknown)} are not among its arguments {list(self.signature.parameters)}"
            )
        for p in self.signature.parameters.values():
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
                raise TypeError(f"op {formula.__name__}: {p.name!r} cannot be bound by name; an op's arguments are listed, without / and *")
        self.arrays = tuple(n for n in self.signature.parameters if n not in static)
        self._forward: Callable | None = None
        self._backward: Callable | None = None
        self._recompute: Callable | None = None
        self._vmap: Callable | None = None
        self._recomputes: tuple[str, ...] = ()
        self._by_kernel = False

    def def_forward(self, forward: Callable) -> Callable:
        """Declare the function that returns the value and what the backward needs."""
        self._forward = forward
        return forward

    def def_backward(self, backward: Callable | None = None, *, recomputes: str | Sequence[str] = (), by_kernel: bool = False) -> Any:
        """Declare the function from what was saved and the cotangent to the arguments' cotangents.

        `recomputes` names what was saved that it computes anew from: XLA shall not do so before the cotangent is there, since it would
        then take what the forward computed, and keep it. `by_kernel` says that platforms other than a CPU have kernels for it, which read
        what was saved from memory: where that is itself recomputed, it is not in one loop with the cotangent, which would keep both.
        """
        if backward is None:
            return functools.partial(self.def_backward, recomputes=recomputes, by_kernel=by_kernel)
        self._by_kernel = by_kernel
        self._backward, self._recomputes = backward, (recomputes,) if isinstance(recomputes, str) else tuple(recomputes)
        return backward

    def def_recompute(self, recompute: Callable) -> Callable:
        """Declare, where it is cheap, the function that makes the value once more from what was saved.

        An equation that would keep the value for its own backward then keeps nothing, and gets it recomputed on the way back. What is
        saved for this alone may be `RecomputeOnly(array)`: the array where it is itself recomputed, else None, and no value is recomputed.
        """
        self._recompute = recompute
        return recompute

    def forward(self, *args, **kwargs) -> tuple[Any, dict]:
        """The value and what the backward needs: the first half of back-propagation, by hand."""
        statics, arrays = self._bind(args, kwargs)
        return self.declared("forward")(**dict(zip(self.arrays, arrays)), **statics)

    def backward(self, saved: dict, dy: Any) -> tuple:
        """The cotangents of the array arguments: the second half, by hand."""
        return self.declared("backward")(saved, dy)

    def declared(self, half: str) -> Callable:
        """One of the functions that were declared."""
        function = getattr(self, "_" + half)
        if function is None:
            raise HalfAnOpError(
                f"op {self.__name__} has no {half}: declare it with @{self.__name__}.def_{half}. "
                "(What shall be differentiated by its formula is a plain function, without bpjax.op.)"
            )
        return function

    def def_again(self, again: Callable) -> Callable:
        """The old name of `def_recompute`."""
        warnings.warn("def_again is now called def_recompute, and goes away in the next version", DeprecationWarning, stacklevel=2)
        return self.def_recompute(again)

    def def_vmap(self, batched: Callable) -> Callable:
        """Declare how a call is batched: by another call, of larger arrays, rather than by mapping the written halves.

        The function takes the size of the mapped axis, a dict that says for each array argument whether it is mapped (then on its
        axis 0), and the arguments; it returns the value with the mapped axis first, or None where it does not say. Weights are unmapped
        above all: of a call on larger arrays their gradient is one, where the halves mapped would make one for each example.
        """
        self._vmap = batched
        return batched

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        statics, arrays = self._bind(args, kwargs)
        leaves, tree = jax.tree.flatten(arrays)
        if not all(isinstance(leaf, jax.Array) for leaf in leaves):
            leaves = self._arrays(leaves, arrays)
        return self._call(statics, tree)(leaves)

    def _arrays(self, leaves: list, arrays: list) -> list:
        """The leaves as what JAX takes for an array, or an error that names the argument that is none."""
        if not all(map(jaxprs.is_arraylike, leaves)):
            bad = next(n for n, a in zip(self.arrays, arrays) if not all(map(jaxprs.is_arraylike, jax.tree.leaves(a))))
            got = type(arrays[self.arrays.index(bad)]).__name__
            raise TypeError(f"op {self.__name__}: argument {bad!r} must be an array, got {got} (or name it in static=)")
        # NumPy's int64 would stand in an outer trace as it is, although the op is traced for JAX's int32
        return [jnp.asarray(leaf) for leaf in leaves]

    def _call(self, statics: dict, tree) -> "OpCall":
        settings = jaxprs.Settings.now()
        try:
            return _calls.get((self, _typed(tuple(statics.values())), tree, settings), lambda: OpCall(self, statics, tree, settings))
        except TypeError:
            if not (bad := [n for n, v in statics.items() if not _hashable(v)]):
                raise
            got = type(statics[bad[0]]).__name__
            raise TypeError(f"op {self.__name__}: static argument {bad[0]!r} must be hashable, got {got}") from None

    def _bind(self, args, kwargs) -> tuple[dict, list]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = bound.arguments
        return {n: _frozen(values[n]) for n in self.static}, [values[n] for n in self.arrays]

    def __repr__(self):
        return f"<bpjax.op {self.__name__}>"

    def __reduce__(self):
        return self.__qualname__  # copied and pickled as functions are: by name


def _frozen(value):
    """Lists become tuples, so that a static argument can be a dictionary key."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _typed(value):
    """With its type, so that 2 and 2.0, or 1 and True, are two keys."""
    if isinstance(value, float):
        return float, repr(value)  # 0.0 == -0.0, and nan != nan
    return (tuple, *map(_typed, value)) if isinstance(value, tuple) else (type(value), value)


def _hashable(value) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


class OpCall(Written):
    """An op with its static arguments, the structure of its array arguments, and the settings under which it was called."""

    def __init__(self, op: Op, statics: dict, tree, settings: jaxprs.Settings):
        super().__init__(op)
        self.statics, self.tree, self.settings = statics, tree, settings
        self._formulas = Bounded(SHAPES)

    def __call__(self, leaves):
        avals = tuple(map(jax.typeof, leaves))
        if any(map(jaxprs.is_laid_out, avals)):
            leaves = [jaxprs.placed(leaf, avals) for leaf in leaves]
            return jaxprs.without_layouts(lambda *leaves: self(leaves), self._layouts(tuple(map(jax.typeof, leaves))))(*leaves)
        call, out_tree = self._traced_formula(avals)
        return jax.tree.unflatten(out_tree, call(*leaves))

    def _traced_formula(self, avals) -> tuple[Call, Any]:
        key = avals, jaxprs.trace_context()
        return self._formulas.get(key, lambda: self._formula(avals), lambda made: made[0].is_closed)

    def _layouts(self, avals) -> Any:
        """How the outputs lie on an explicit mesh: as the types of the formula have it.

        Where those do not say, along its first axes as the first argument, as far as they have the same sizes.
        """
        try:
            call, out_tree = self._traced_formula(avals)
            return jax.tree.unflatten(out_tree, [a.sharding for a in call.types(avals)])
        except Exception:  # whatever else is wrong with it is raised again
            first, avals = next(filter(jaxprs.is_laid_out, avals)), tuple(map(jaxprs.replicated, avals))
            call, out_tree = self._traced_formula(avals)
            return jax.tree.unflatten(out_tree, [jaxprs.laid_out_as(first, a.shape) for a in call.types(avals)])

    def arguments(self, leaves) -> dict:
        """The op's arguments by name."""
        return dict(zip(self.op.arrays, jax.tree.unflatten(self.tree, leaves))) | self.statics

    def _formula(self, avals):
        out_tree = None

        def flat(*leaves):
            nonlocal out_tree
            arguments = self.arguments(leaves)
            try:
                outputs, out_tree = jax.tree.flatten(self.op.formula(**arguments))
            except AttributeError as error:
                if lists := [n for n in self.op.arrays if isinstance(arguments[n], list)]:
                    got = ", ".join(f"{n} as an array, got a list" for n in lists)
                    raise TypeError(f"{self.name}: expected {got}: convert with jnp.asarray") from error
                raise
            return outputs

        return Call(flat, avals, self), out_tree

    @contextlib.contextmanager
    def traced_alike(self):
        """A context in which a half is traced the same whoever asks first: under the settings of the call, and without hooks."""
        with self.settings.applied(), unhooked():
            yield

    def is_written(self, active):
        if any(active):  # half an op is none
            self.op.declared("forward")
            self.op.declared("backward")
        return self.op._backward is not None

    def batched(self, axis, values, dims):
        if self.op._vmap is None or self.consts:
            return None
        front = [x if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(values, dims)]
        is_mapped = jax.tree.unflatten(self.tree, [d is not None for d in dims])
        with self.settings.applied():
            y = self.op._vmap(axis.size, dict(zip(self.op.arrays, is_mapped)), **self.arguments(front))
        return None if y is None else (outputs := jax.tree.leaves(y), [0] * len(outputs))

    def _halves(self, avals, out_avals):
        return _OpHalves(self, avals, out_avals)


class _OpHalves(Halves):
    """As they were written. What was saved besides arrays (shapes, dtypes, None) stays here."""

    def __init__(self, owner: OpCall, avals, out_avals):
        super().__init__()
        self.owner, place = owner, here()
        self.out_tree: Any = None
        self.saved_tree: Any = None
        self.statics: list = []
        self.types = [(a.shape, a.dtype) for a in out_avals]

        def flat(*leaves):
            pair = self._run("forward", place, lambda forward: forward(**owner.arguments(leaves)))
            if not isinstance(pair, tuple) or len(pair) != 2:
                what = f"returned {_described(pair)}; expected a pair: the value, and a dict of what the backward needs"
                self._fail("forward", place, what)
            outputs, self.out_tree = jax.tree.flatten(pair[0])
            saved, self.saved_tree = jax.tree.flatten(pair[1], is_leaf=lambda x: x is None)
            self.statics = [None if _is_array(x) else (x,) for x in saved]
            arrays = [x for x in saved if _is_array(x)]
            self.recompute_only = [isinstance(x, RecomputeOnly) for x in arrays]
            arrays = [x.array if isinstance(x, RecomputeOnly) else x for x in arrays]
            self.n_out = len(outputs)
            return [*self._checked("forward", place, outputs), *arrays]

        with owner.traced_alike():
            self.call = Call(flat, avals, Half(f"{owner.name}_forward"), hands_through=True)

    def _backward(self, array_avals, dy_avals, active, record):
        places: list[int] = []

        def flat(*present):
            values = spread(present, [i for i, a in enumerate((*array_avals, *dy_avals)) if a is not None], len(array_avals) + self.n_out)
            dy = jax.tree.unflatten(self.out_tree, values[len(array_avals) :])
            content = self._content(values)
            if names := self.owner.op._recomputes:
                content = content | after({n: content[n] for n in names}, values[len(array_avals) :])
            dxs = self._flat(self._run("backward", record.where(), lambda backward: backward(content, dy)), record)
            places[:] = [i for i, (dx, on) in enumerate(zip(dxs, active)) if on and dx is not None]
            return [dxs[i] for i in places]

        with self.owner.traced_alike():
            return Call(flat, present([*array_avals, *dy_avals]), Half(f"{self.owner.name}_backward"), hands_through=True), places

    def _recompute(self, array_avals, record):
        def flat(*present):
            content = self._content(spread(present, [i for i, a in enumerate(array_avals) if a is not None], len(array_avals)))
            y = self._run("recompute", record.where(), lambda recompute: recompute(content))
            return self._checked("recompute", record.where(), jax.tree.leaves(y))

        with self.owner.traced_alike():
            return Call(flat, present(array_avals), Half(f"{self.owner.name}_recompute"), hands_through=True)

    def _content(self, arrays):
        """What the forward saved, as it returned it."""
        arrays = iter(arrays)
        return jax.tree.unflatten(self.saved_tree, [next(arrays) if s is None else s[0] for s in self.statics])

    def _flat(self, dxs, record) -> list:
        """The cotangents of the arguments, one for each flat array."""
        tree = self.owner.tree
        arguments = jax.tree.unflatten(tree, range(tree.num_leaves))
        if not isinstance(dxs, tuple) or len(dxs) != len(arguments):
            got = f"{len(dxs)} cotangents" if isinstance(dxs, tuple) else _described(dxs)
            names = ", ".join(self.owner.op.arrays)
            self._fail("backward", record.where(), f"returned {got}; expected a tuple of {len(arguments)}, one for each of {names}")
        flat = [None] * tree.num_leaves
        for name, argument, dx in zip(self.owner.op.arrays, arguments, dxs):
            if callable(dx) and not hasattr(dx, "dtype"):
                dx = dx()
            if not all(map(jaxprs.is_arraylike, jax.tree.leaves(dx))):
                self._fail("backward", record.where(), f"returned {_described(dx)} for {name}; expected an array, or None")
            if dx is not None and argument is not None:
                indices, of_argument = jax.tree.flatten(argument)
                for i, d in zip(indices, of_argument.flatten_up_to(dx)):
                    flat[i] = d
        return flat

    def _checked(self, half, where, outputs):
        """The outputs, which must be of the types that the formula returns."""
        if not all(map(jaxprs.is_arraylike, outputs)) or [(jnp.shape(o), jnp.result_type(o)) for o in outputs] != self.types:
            wanted = " and ".join(f"{dtype}{list(shape)}" for shape, dtype in self.types)
            got = " and ".join(_described(o) for o in outputs)
            self._fail(half, where, f"returned the value {got}; the formula returns {wanted}")
        return outputs

    def _run(self, half, where, call):
        """One half of the op, with its name on whatever goes wrong inside."""
        try:
            return call(self.owner.op.declared(half))
        except GradientError:
            raise
        except Exception as error:
            self._fail(half, where, f"raised {type(error).__name__}: {error}", error)

    def _fail(self, half, where, what, cause=None) -> NoReturn:
        op = self.owner.op
        raise RuleError(f"the {half} of {op.__name__}{where} {what}. It stands at {source_of(op.declared(half))}") from cause


def _described(x) -> str:
    """An array by its type, anything else by its class."""
    return f"{jnp.result_type(x)}{list(jnp.shape(x))}" if jaxprs.is_arraylike(x) else f"a {type(x).__name__}"


def _is_array(x) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic | RecomputeOnly)
