"""`bpjax.op`: a layer with a backward of its own.

Calling an op leaves a `jit` equation of its plain formula. JAX differentiates what is inside; the sweep recognises the
equation and runs the op's written `forward` and `backward` instead.
"""

import functools
import inspect
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import jaxprs
from .again import IfMadeAgain
from .errors import GradientError, RuleError
from .sweep import Rule, source_of

_calls: "weakref.WeakValueDictionary[str, _Call]" = weakref.WeakValueDictionary()  # by the name of the jit equation


def op(formula: Callable | None = None, *, static: Sequence[str] = ()) -> Any:
    """Make a function of arrays an operation with its own, hand-written backward.

    Args:
        formula: the plain formula, in `jnp`: what runs, and what `jax.grad` differentiates.
        static: names of the arguments that are not arrays (hashable; lists become tuples).

    Then declare `op.def_forward`, which returns the same value and a dict of what the backward needs, and `op.def_backward`,
    which takes that dict and the cotangent of the value and returns a tuple of cotangents, one for each argument that is not
    static (None for an argument that is None or holds integers). Where the value is cheap to make from that dict, declare `op.def_again`:
    what keeps the value as its own input then keeps nothing.

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


class Op:
    """A function with a hand-written backward. Made by `bpjax.op`."""

    def __init__(self, formula: Callable, static: tuple[str, ...]):
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
        self._forward = self._backward = self._again = None
        self._cache: dict[Any, _Call] = {}

    def def_forward(self, forward: Callable) -> Callable:
        """Declare the function that returns the value and what the backward needs."""
        self._forward = forward
        return forward

    def def_backward(self, backward: Callable) -> Callable:
        """Declare the function from what was saved and the cotangent to the arguments' cotangents."""
        self._backward = backward
        return backward

    def def_again(self, again: Callable) -> Callable:
        """Declare, where it is cheap, the function that makes the value once more from what was saved.

        An equation that would keep the value for its own backward then keeps nothing, and gets it made again on the way back. What is
        saved for this alone may be `IfMadeAgain(array)`: the array where it is itself made again, else None, and no value is made again.
        """
        self._again = again
        return again

    def forward(self, *args, **kwargs) -> tuple[Any, dict]:
        """The value and what the backward needs: the first half of back-propagation, by hand."""
        statics, arrays = self._bind(args, kwargs)
        return self._declared("forward")(**dict(zip(self.arrays, arrays)), **statics)

    def backward(self, saved: dict, dy: Any) -> tuple:
        """The cotangents of the array arguments: the second half, by hand."""
        return self._declared("backward")(saved, dy)

    def _declared(self, half: str) -> Callable:
        function = getattr(self, "_" + half)
        if function is None:
            raise RuleError(f"op {self.__name__} has no {half}: declare it with @{self.__name__}.def_{half}")
        return function

    def __call__(self, *args, **kwargs):
        statics, arrays = self._bind(args, kwargs)
        leaves, tree = jax.tree.flatten(arrays)
        if not all(map(jaxprs.is_arraylike, leaves)):
            bad = next(n for n, a in zip(self.arrays, arrays) if not all(map(jaxprs.is_arraylike, jax.tree.leaves(a))))
            got = type(arrays[self.arrays.index(bad)]).__name__
            raise TypeError(f"op {self.__name__}: argument {bad!r} must be an array, got {got} (or name it in static=)")
        # NumPy's int64 would stand in an outer trace as it is, although the op is traced for JAX's int32
        leaves = [jnp.asarray(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf for leaf in leaves]
        key = (_typed(tuple(statics.values())), tree)
        try:
            call = self._cache.get(key)
        except TypeError:
            bad = [n for n, v in statics.items() if not _hashable(v)]
            raise TypeError(
                f"op {self.__name__}: static argument {bad[0]!r} must be hashable, got {type(statics[bad[0]]).__name__}"
            ) from None
        if call is None:
            call = self._cache[key] = _Call(self, statics, tree)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            call.expect(leaves)
        try:
            return call.jitted(*leaves)
        except AttributeError as error:
            if lists := [n for n, a in zip(self.arrays, arrays) if isinstance(a, list)]:
                got = ", ".join(f"{n} as an array, got a list" for n in lists)
                raise TypeError(f"{self.__name__}: expected {got}: convert with jnp.asarray") from error
            raise

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
    return (tuple, *map(_typed, value)) if isinstance(value, tuple) else (type(value), value)


def _hashable(value) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _Call(Rule):
    """An op with its static arguments and the structure of its array arguments: one jitted formula, one rule."""

    may_return_none = False

    def __init__(self, op: Op, statics: dict, tree):
        self.op, self.statics, self.tree = op, statics, tree
        self.name = op.__name__
        self._meant: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # the jaxprs that calls left, by id
        formula, names = op.formula, op.arrays

        def plain(*leaves):
            return formula(**dict(zip(names, jax.tree.unflatten(tree, leaves))), **statics)

        numbered = itertools.chain([self.name], (f"{self.name}_{i}" for i in itertools.count(1)))
        plain.__name__ = plain.__qualname__ = next(n for n in numbered if n not in _calls)
        self.jitted = jax.jit(plain)
        _calls[plain.__name__] = self

    @property
    def source(self):
        return source_of(self.op._declared("backward"))

    def expect(self, leaves):
        """Remember the jaxpr that this call leaves: under an outer trace its equation holds this very object."""
        inner = jaxprs.open_jaxpr(self.jitted.trace(*leaves).jaxpr)
        self._meant[id(inner)] = inner

    def is_meant_by(self, eqn) -> bool:
        """Whether the equation holds a jaxpr that a call left, and not a transformed one (by vmap, jvp, grad)."""
        inner = jaxprs.open_jaxpr(jaxprs.inner_jaxpr(eqn))
        return self._meant.get(id(inner)) is inner and self.op._backward is not None

    def forward(self, eqn, values, active, keep=None):
        arguments = dict(zip(self.op.arrays, jax.tree.unflatten(self.tree, values)))
        pair = self._run("forward", jaxprs.here(), lambda forward: forward(**arguments, **self.statics))
        if not isinstance(pair, tuple) or len(pair) != 2:
            self._fail(
                "forward", jaxprs.here(), f"returned {_described(pair)}; expected a pair: the value, and a dict of what the backward needs"
            )
        y, saved = pair
        outputs, out_tree = jax.tree.flatten(y)
        return self._checked("forward", jaxprs.here(), outputs, eqn), _Saved(saved, out_tree)

    def _checked(self, half, where, outputs, eqn):
        """The outputs, which must be of the types that the formula returns."""
        expected = [(v.aval.shape, v.aval.dtype) for v in eqn.outvars]
        if not all(map(jaxprs.is_arraylike, outputs)) or [(jnp.shape(o), jnp.result_type(o)) for o in outputs] != expected:
            wanted = " and ".join(f"{dtype}{list(shape)}" for shape, dtype in expected)
            got = " and ".join(_described(o) for o in outputs)
            self._fail(half, where, f"returned the value {got}; the formula returns {wanted}")
        return outputs

    @property
    def makes_again(self):
        return self.op._again is not None

    def again(self, record):
        y = self._run("again", record.where(), lambda again: again(record.saved.content))
        return self._checked("again", record.where(), jax.tree.leaves(y), record.eqn)

    def backward(self, record, dys, watch):
        dy = jax.tree.unflatten(record.saved.out_tree, dys)
        dxs = self._run("backward", record.where(), lambda backward: backward(record.saved.content, dy))
        arguments = jax.tree.unflatten(self.tree, range(self.tree.num_leaves))
        if not isinstance(dxs, tuple) or len(dxs) != len(arguments):
            got = f"{len(dxs)} cotangents" if isinstance(dxs, tuple) else _described(dxs)
            names = ", ".join(self.op.arrays)
            self._fail("backward", record.where(), f"returned {got}; expected a tuple of {len(arguments)}, one for each of {names}")
        flat = [None] * self.tree.num_leaves
        for argument, dx in zip(arguments, dxs):
            self._scatter(argument, dx, flat)
        return flat

    def _run(self, half, where, call):
        """One half of the op, with its name on whatever goes wrong inside."""
        try:
            return call(self.op._declared(half))
        except GradientError:
            raise
        except Exception as error:
            self._fail(half, where, f"raised {type(error).__name__}: {error}", error)

    def _fail(self, half, where, what, cause=None):
        raise RuleError(f"the {half} of {self.name}{where} {what}. It stands at {source_of(self.op._declared(half))}") from cause

    def _scatter(self, argument, dx, flat):
        """Put the leaves of a cotangent where the leaves of its argument stand."""
        if dx is None or argument is None:
            return
        indices, tree = jax.tree.flatten(argument)
        for i, d in zip(indices, tree.flatten_up_to(dx)):
            flat[i] = d


def _described(x) -> str:
    """An array by its type, anything else by its class."""
    return f"{jnp.result_type(x)}{list(jnp.shape(x))}" if jaxprs.is_arraylike(x) else f"a {type(x).__name__}"


class _Saved:
    """What an op's forward saved. A pytree: arrays are leaves; shapes, dtypes, booleans, None are kept aside."""

    def __init__(self, content: Any, out_tree):
        self.content, self.out_tree = content, out_tree


class _Aside:
    """Non-array parts of what was saved; equal only to itself."""

    def __init__(self, tree, statics, out_tree):
        self.tree, self.statics, self.out_tree = tree, statics, out_tree


def _is_array(x) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic | IfMadeAgain)


def _flatten_saved(saved: _Saved):
    leaves, tree = jax.tree.flatten(saved.content, is_leaf=lambda x: x is None)
    statics = [None if _is_array(x) else (x,) for x in leaves]
    return [x for x in leaves if _is_array(x)], _Aside(tree, statics, saved.out_tree)


def _unflatten_saved(aside: _Aside, arrays):
    arrays = iter(arrays)
    leaves = [next(arrays) if s is None else s[0] for s in aside.statics]
    return _Saved(jax.tree.unflatten(aside.tree, leaves), aside.out_tree)


jax.tree_util.register_pytree_node(_Saved, _flatten_saved, _unflatten_saved)


def recognised(eqn) -> Rule | None:
    """The op that a `jit` equation is a call of, if it is one."""
    call = _calls.get(eqn.params["name"])
    return call if call is not None and call.is_meant_by(eqn) else None


def op_of(rule: Rule) -> Op | None:
    """The op whose call this is the rule of, if it is one."""
    return rule.op if isinstance(rule, _Call) else None


def unrecognised(eqn) -> str | None:
    """The name of the op whose call this was before vmap, jvp or grad changed it; also of an op without a backward."""
    call = _calls.get(eqn.params["name"]) if eqn.primitive.name in ("jit", "pjit") else None
    return call.name if call is not None and not call.is_meant_by(eqn) else None
