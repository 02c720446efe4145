"""Module, Parameter, Buffer: parameters by name, and light bound copies of the tree that hold their values."""

import contextlib
import functools
import inspect
import sys
import types
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import is_deleted, is_naming, tag

__all__ = ["Buffer", "Module", "Parameter"]


class Parameter:
    """Declares a trainable array: a shape and `init(key, shape, dtype)` (or a number), or an initial array.

    >>> from bpjax import nn
    >>> nn.Parameter((2, 3), init=0.0)
    Parameter((2, 3))
    """

    optional = False  # whether a state_dict may lack it

    def __init__(self, shape, init=None, dtype=None):
        if hasattr(shape, "dtype") and hasattr(shape, "shape"):
            shape, init, dtype = shape.shape, shape, dtype or shape.dtype
        if init is None:
            raise TypeError(f"{type(self).__name__}: say how it starts: init=, a number or a function of (key, shape, dtype)")
        shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
        if not all(hasattr(n, "__index__") and n >= 0 for n in shape):
            raise ValueError(f"{type(self).__name__}: a shape has whole numbers, none negative, got {shape}")
        self.shape, self.init, self.dtype = shape, init, dtype
        self.source: Parameter | None = None

    @classmethod
    def made_from(cls, source: "Parameter", function) -> "Parameter":
        """A parameter that starts as a function of the initial value of another one."""
        self = cls(jax.eval_shape(function, jax.ShapeDtypeStruct(source.shape, jnp.float32)).shape, function, source.dtype)
        self.source = source
        return self

    def make(self, key):
        """The initial value."""
        dtype = jnp.result_type(float) if self.dtype is None else self.dtype
        if not callable(self.init):
            return jnp.array(jnp.broadcast_to(jnp.asarray(self.init, dtype), self.shape))
        value = self.init(key, self.shape, dtype)
        if jnp.shape(value) != self.shape:
            raise ValueError(f"{self}: its init returned shape {jnp.shape(value)}")
        return value

    def __setattr__(self, name, value):
        if name in _OF_TENSORS:
            raise AttributeError(f"{self!r}: {name!r} cannot be assigned: {_OF_TENSORS[name]}")
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        advice = "" if name.startswith("__") else f": {_OF_TENSORS.get(name, _OF_TENSORS['data'])}"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{advice}")

    def __repr__(self):
        return f"{type(self).__name__}({self.__dict__.get('shape', '')})"


class Buffer(Parameter):
    """Declares an array that is not trained, such as BatchNorm's running mean: a shape and a number to start at, or an array.

    A `constant` one, such as the class weights of a loss, stays as declared where no buffers are given. An `optional` one, such as
    BatchNorm's count of batches, may lack in a `state_dict`, and then stands as declared.
    """

    def __init__(self, shape, init=0.0, dtype=None, *, constant=False, optional=False):
        super().__init__(shape, init, dtype)
        self.constant, self.optional = constant, optional


def uniform(bound: float):
    """An `init`: uniform in (-bound, bound)."""
    return functools.partial(_uniform, bound)


def _uniform(bound, key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class Binding:
    """What one application holds: the values by path, train, the key, and the buffers' new values; in `init` the lazy modules."""

    def __init__(self, params, buffers, train, rng, lazy=None):
        self.params, self.buffers, self.train, self.rng, self.lazy = params, buffers, train, rng, lazy
        self.new_buffers = dict(buffers or {})
        self.outputs: dict[str, Any] | None = None  # by path, where somebody asks for them
        self.counts: dict[str, int] = {}
        self.active: list[str] = []  # the paths of the modules being called
        self.loops = 0 if rng is None else len(_loops())  # those around the whole application, each of whose steps binds a key of its own


class Module:
    """A layer, or a tree of them. Assign Parameters, Buffers and Modules in `__init__`; write `forward`.

    A module holds no arrays. `init` makes the parameters, `apply` runs `forward` with them; inside `forward` each parameter is an
    attribute. `super().__init__()` is optional.
    Backward: that of the functions in `forward`.
    Errors: a module with parameters that is called outside `apply`; parameters that are missing, unexpected or of a wrong shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Module.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.weight = nn.Parameter((), init=2.0)
    ...     def forward(self, x):
    ...         return self.weight * x
    >>> model = Scale()
    >>> params = model.init(jax.random.key(0))
    >>> float(model.apply(params, 3.0))
    6.0
    """

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _derived={}, _binding=None, _path="", _paths={})
        return self

    def __init__(self):
        pass

    def forward(self, *inputs, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    # -- declared in __init__ by assignment

    def __setattr__(self, name, value):
        if name in ("requires_grad", "training"):
            raise AttributeError(f"{self._where()}: {name!r} cannot be assigned: {_INSTEAD[name]}")
        binding = self._binding
        if binding is not None:
            if name in self._buffers:
                binding.new_buffers[self._paths[name]] = value
                return
            if name in self._parameters or name in self._modules or isinstance(value, Parameter | Module):
                raise AttributeError(
                    f"{self._where()}: parameters and modules are declared in __init__; {name!r} cannot be assigned in forward"
                )
        registries = self._parameters, self._buffers, self._modules
        if value is not None and not isinstance(value, Parameter | Module):
            if name in self._buffers and hasattr(value, "shape") and hasattr(value, "dtype"):
                value = Buffer(value, constant=self._buffers[name].constant, optional=self._buffers[name].optional)
            elif place := next((r for r in registries if name in r), None):
                expected = "nn.Module" if place is self._modules else "array" if place is self._buffers else "nn.Parameter"
                raise TypeError(
                    f"{type(self).__name__}: {name!r} is declared as {type(place[name]).__name__}: expected another {expected} or None, "
                    f"got {type(value).__name__}"
                )
        registry = None
        if isinstance(value, Parameter):
            registry = self._buffers if isinstance(value, Buffer) else self._parameters
        elif isinstance(value, Module):
            registry = self._modules
        for other in (*registries, self.__dict__):
            if other is not registry:
                other.pop(name, None)
        if registry is None:
            if hidden := [
                v for v in _directly_in(value) if isinstance(v, Parameter) or isinstance(v, Module) and any(v._declared("parameters"))
            ]:
                raise TypeError(
                    f"{type(self).__name__}: {name!r} is a {type(value).__name__} that holds a {type(hidden[0]).__name__}, "
                    "which init would not find there: use nn.ModuleList or nn.ModuleDict, or give each parameter a name of its own"
                )
            object.__setattr__(self, name, value)
        else:
            if "." in name or not name:
                raise KeyError(f"{type(self).__name__}: the name {name!r} must not be empty or contain a dot")
            if hasattr(type(self), name):
                raise KeyError(f"{type(self).__name__}: the name {name!r} is taken by an attribute of the class: choose another")
            registry[name] = value

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        binding = self._binding
        if name in self._modules:
            return self._modules[name]
        if name in self._parameters:
            return self._parameters[name] if binding is None else binding.params[self._paths[name]]
        if name in self._buffers:
            declared = self._buffers[name]
            if declared.constant and (binding is None or binding.buffers is None):
                return declared.make(None)
            if binding is None:
                return declared
            if binding.buffers is None:
                raise self._name(ValueError(f"needs its buffer {name!r}: give apply(..., buffers=model.init_buffers())"))
            return binding.new_buffers[self._paths[name]]
        if name in self._derived:
            return self._derived[name] if binding is None else self._derived[name](self)
        advice = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{advice}")

    def derive(self, name: str, function) -> None:
        """Have the attribute `name` be a function of the bound module, such as a weight that `nn.utils.weight_norm` makes."""
        self._derived[name] = function

    def __delattr__(self, name):
        self._refuse_if_bound()
        for registry in (self._parameters, self._buffers, self._modules):
            if registry.pop(name, None) is not None:
                return
        object.__delattr__(self, name)

    def _refuse_if_bound(self):
        if self._binding is not None:
            raise AttributeError(f"{self._where()}: what a module holds is declared in __init__; nothing can be taken out in forward")

    def named_modules(self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, "Module"]]:
        """Every module of the tree with its path: each once, under its first name, or with `remove_duplicate=False` under all.

        Those in `memo` are left out.
        """
        return self._walk(prefix, {id(m) for m in memo or ()} if remove_duplicate else None)

    def _walk(self, path, seen: set | None):
        """The tree with paths; with `seen`, each module once."""
        if seen is not None:
            if id(self) in seen:
                return
            seen.add(id(self))
        yield path, self
        for name, child in self._modules.items():
            yield from child._walk(_join(path, name), seen)

    def children(self) -> Iterator["Module"]:
        """The modules directly inside, each once."""
        return iter({id(child): child for child in self._modules.values()}.values())

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every declared parameter with its path: each once, under its first name, or with `remove_duplicate=False` under all.

        With `recurse=False` those of this module alone.
        """
        return self._declared("parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every declared parameter, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, "Buffer"]]:
        """Every declared buffer with its path, as `named_parameters`."""
        return self._declared("buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator["Buffer"]:
        """Every declared buffer, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def modules(self, remove_duplicate: bool = True) -> Iterator["Module"]:
        """Every module of the tree."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly inside with their names, each once, under its first name."""
        first: dict = {}
        for name, module in self._modules.items():
            first.setdefault(id(module), (name, module))
        return iter(first.values())

    def get_submodule(self, target: str) -> "Module":
        """The module at a path such as "layers.0"; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            if name not in module._modules:
                raise AttributeError(f"{type(self).__name__}: no module at {target!r}: {type(module).__name__} has no module {name!r}")
            module = module._modules[name]
        return module

    def get_parameter(self, target: str):
        """The parameter at a path: declared, or of a bound module its value."""
        return self._get("parameters", target)

    def get_buffer(self, target: str):
        """The buffer at a path: declared, or of a bound module its value."""
        return self._get("buffers", target)

    def _get(self, kind, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in getattr(module, "_" + kind):
            raise AttributeError(f"{type(self).__name__}: no {kind[:-1]} at {target!r}")
        return getattr(module, name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Declare a module, as by assignment; for names that are made up in a loop."""
        self._register(name, module, Module)

    register_module = add_module

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Declare a parameter, as by assignment."""
        self._register(name, param, Parameter)

    def register_buffer(self, name: str, tensor, persistent: bool = True) -> None:
        """Declare a buffer that starts as an array, as by assignment of `nn.Buffer(array)`."""
        if not persistent:
            raise NotImplementedError(f"{type(self).__name__}: init_buffers() has every buffer; persistent=False cannot be")
        self._register(name, tensor if tensor is None or isinstance(tensor, Buffer) else Buffer(tensor), Buffer)

    def _register(self, name, value, kind):
        if not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: a name must be a string, got {type(name).__name__}")
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{type(self).__name__}: {name!r} must be a {kind.__name__} or None, got {type(value).__name__}")
        setattr(self, name, value)

    def __dir__(self):
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def declared(self, kind: str) -> list[tuple[list[str], Parameter]]:
        """The "parameters" or "buffers" of the tree, each with all its names: a tied one has several, the first of which counts."""
        names: dict[int, tuple[list[str], Parameter]] = {}
        for path, module in self._walk("", None):
            for name, declared in getattr(module, "_" + kind).items():
                names.setdefault(id(declared), ([], declared))[0].append(_join(path, name))
        return list(names.values())

    def _declared(self, kind, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        for path, module in self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name, declared in getattr(module, "_" + kind).items():
                if not remove_duplicate or declared not in seen:
                    seen.add(declared)
                    yield _join(path, name), declared

    # -- values

    def init(self, rng, *sample_inputs, **kwargs) -> dict:
        """The parameters: nested dicts by attribute name. Each key is folded from its path, so adding a layer leaves the others alone.

        Lazy modules take their sizes from sample inputs (arrays, or `jax.ShapeDtypeStruct`), as `apply` would get them.
        """
        _check_key(f"{type(self).__name__}.init", rng)
        if self._lazy():
            self._settle(sample_inputs, kwargs)
        declared = dict(self.named_parameters())
        values = {path: p.make(fold_path(rng, path)) for path, p in declared.items() if p.source is None}
        paths = {id(p): path for path, p in declared.items()}
        made = {path: p.init(values[paths[id(p.source)]]) for path, p in declared.items() if p.source is not None}
        return nested({path: made[path] if path in made else values[path] for path in declared})

    def _lazy(self) -> str:
        """The modules that have no sizes yet, in words."""
        lazy = [(path, type(module).__name__) for path, module in self.named_modules() if isinstance(module, Lazy)]
        return ", ".join(f'"{path}" ({kind})' if path else kind for path, kind in lazy)

    def _settle(self, inputs, kwargs):
        """Let the lazy modules meet the shapes that a forward pass brings them; nothing is computed."""
        if not inputs and not kwargs:
            raise ValueError(f"no sizes yet: {self._lazy()}: give init(rng, *sample_inputs)")
        leaves, tree = jax.tree.flatten((inputs, kwargs), is_leaf=lambda x: hasattr(x, "shape"))
        arrays = {i: leaf for i, leaf in enumerate(leaves) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")}

        def forward(arrays):
            values = {path: jnp.zeros(p.shape, p.dtype) for path, p in self.named_parameters()}
            buffers = {path: b.make(None) for path, b in self._declared("buffers")}
            binding = Binding(values, buffers, False, None, dict(self.named_modules()))
            args, kwargs = jax.tree.unflatten(tree, [arrays.get(i, leaf) for i, leaf in enumerate(leaves)])
            self._copy(binding, "", {}, {})(*args, **kwargs)

        jax.eval_shape(forward, arrays)
        if self._lazy():
            raise ValueError(f"no sizes yet: {self._lazy()}: forward did not call it with these sample inputs")

    def init_buffers(self) -> dict:
        """What is not trained, in the same form."""
        return nested({path: b.make(None) for path, b in self._declared("buffers")})

    def apply(self, params, *inputs, buffers=None, train=False, rng=None, **kwargs):
        """The output of `forward` with these parameters; with `buffers` given, `(output, new_buffers)`. Pure."""
        bound = self.bind(params, buffers=buffers, train=train, rng=rng)
        output = bound(*inputs, **kwargs)
        return output if buffers is None else (output, bound.new_buffers())

    def bind(self, params, *, buffers=None, train=False, rng=None) -> "Module":
        """A light copy of the tree that holds these values: `net(x)`, `net.encode(x)`, `net.fc1.weight`."""
        if rng is not None:
            _check_key(type(self).__name__, rng)
        if self._lazy():
            raise ValueError(f"no sizes yet: {self._lazy()}: call init(rng, *sample_inputs) first")
        values = _checked(self, "parameters", dict(self.named_parameters()), params)
        kept = None if buffers is None else _checked(self, "buffers", dict(self._declared("buffers")), buffers)
        return self._copy(Binding(values, kept, train, rng), "", {}, {})

    def _copy(self, binding, path, modules, paths):
        if id(self) in modules:
            return modules[id(self)]
        copy = modules[id(self)] = object.__new__(type(self))
        names = {n: paths.setdefault(id(p), _join(path, n)) for n, p in (*self._parameters.items(), *self._buffers.items())}
        copy.__dict__.update(self.__dict__, _binding=binding, _path=path, _paths=names)
        copy.__dict__["_modules"] = {n: m._copy(binding, _join(path, n), modules, paths) for n, m in self._modules.items()}
        return copy

    def new_buffers(self) -> dict:
        """Of a bound module: its buffers, with what `forward` assigned."""
        if self._binding is None:
            raise RuntimeError(f"{type(self).__name__} is not bound: use model.bind(params, buffers=...)")
        old = self._binding.buffers or {}
        for path, value in self._binding.new_buffers.items():
            if path in old and jnp.shape(value) != jnp.shape(old[path]):
                raise ValueError(f"buffer {path!r}: forward assigned shape {jnp.shape(value)}; it has shape {jnp.shape(old[path])}")
            try:
                lax.stop_gradient(value)  # any use shows whether the value lives
            except jax.errors.UnexpectedTracerError:
                raise RuntimeError(
                    f"buffer {path!r} was assigned inside a scan, vmap, checkpoint or jit within forward, and its value cannot leave that. "
                    "Call this module outside of it, or return the new value from it and assign it there."
                ) from None
        return nested(self._binding.new_buffers)

    @property
    def training(self) -> bool:
        """Whether `apply(..., train=True)` is running."""
        return self._binding is not None and self._binding.train

    def next_key(self):
        """A new key for what is random here: `apply`'s rng, folded with this module's path and a count of its draws.

        Inside a scan, a loop or a vmap within forward it is an error: their function is traced once, so all steps would see one key.
        """
        binding = self._binding
        if binding is None or binding.rng is None:
            raise self._name(ValueError("is random in train mode and needs a key: give apply(..., rng=jax.random.key(0))"))
        if len(around := _loops()) > binding.loops:
            raise self._name(
                ValueError(
                    f"draws inside a {around[0]} within forward, which is traced once: all its steps would draw the same. Take "
                    "keys = jax.random.split(self.next_key(), steps) before it, hand them over with the other inputs, and call the "
                    "function, such as F.dropout(x, p, rng=key), or the module bound with that key. nn.Repeat does so for a stack of layers"
                )
            )
        count = binding.counts[self._path] = binding.counts.get(self._path, -1) + 1
        return jax.random.fold_in(fold_path(binding.rng, self._path), count)

    def __call__(self, *inputs, **kwargs):
        binding = self._binding
        if binding is None:
            if next(self.named_parameters(), None) or not all(b.constant for _, b in self._declared("buffers")):
                raise RuntimeError(
                    f"{type(self).__name__} has parameters but is not bound to any: call model.apply(params, ...), or inside a forward "
                    "make it an attribute of the module (in a plain list or dict it is not seen: use nn.ModuleList, nn.ModuleDict)"
                )
            with self._named_errors():
                return self.forward(*inputs, **kwargs)
        binding.active.append(self._path)
        try:
            with self._scope(), self._named_errors():
                if binding.lazy and isinstance(self, Lazy):
                    self._meet(binding.lazy[self._path], inputs)
                output = self.forward(*inputs, **kwargs)
        finally:
            binding.active.pop()
        if binding.outputs is not None:
            binding.outputs.setdefault(self._path, output)
        if self._path and is_naming():
            output = jax.tree.map(lambda leaf: tag(leaf, self._path) if isinstance(leaf, jax.Array) else leaf, output)
        return output

    def _scope(self):
        """The named scope of this module, less what its caller has entered: nested they read encoder/fc1."""
        caller = self._binding.active[-2] if len(self._binding.active) > 1 else ""
        if not self._path or self._path == caller:
            return contextlib.nullcontext()
        inner = self._path[len(caller) + 1 :] if caller and self._path.startswith(caller + ".") else self._path
        return jax.named_scope(inner.replace(".", "/"))

    @contextlib.contextmanager
    def _named_errors(self):
        """The path of the innermost module at the head of what is refused inside it, and as a note under other errors."""
        try:
            yield
        except Exception as error:
            self._name(error)
            raise

    def _name(self, error: Exception) -> Exception:
        if not getattr(error, _NAMED, False):
            with contextlib.suppress(AttributeError):  # an exception with slots
                setattr(error, _NAMED, True)
            if type(error) in (ValueError, TypeError, NotImplementedError) and len(error.args) == 1:
                error.args = (f"{self._where()}: {error.args[0]}",)
            elif self._path:
                error.add_note(f"bpjax: in module {self._where()}")
        return error

    def _where(self):
        return f'"{self._path}" ({type(self).__name__})' if self._path else type(self).__name__

    def _shape(self, input) -> tuple[int, ...]:
        """The shape of an input, which must be an array."""
        if not hasattr(input, "shape"):
            raise TypeError(f"expected an array, got a {type(input).__name__}: convert it with jnp.asarray")
        return input.shape

    # -- printed as PyTorch prints it

    def extra_repr(self) -> str:
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        lines = extra_lines + [f"({name}): {_indented(text)}" for name, text in self._children_repr()]
        if not lines:
            return f"{type(self).__name__}()"
        if len(lines) == 1 and extra_lines:
            return f"{type(self).__name__}({lines[0]})"
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"

    def _children_repr(self):
        return [(name, repr(child)) for name, child in self._modules.items()]


class Lazy(Module):
    """A module that lacks a size until `init` gets sample inputs; then it is one of the class `becomes`."""

    becomes: type[Module]
    space: int  # how many axes the windows of an image, a line or a volume have

    def __init__(self, **arguments):
        self._arguments = arguments

    def missing(self, input) -> dict:
        """The arguments of `becomes` that an input tells."""
        raise NotImplementedError

    def become(self, input):
        """Take the sizes from the input."""
        arguments = {**self.missing(input), **self._arguments}
        del self._arguments
        self.__class__ = self.becomes
        self.__init__(**arguments)

    def _channels(self, input):
        """The axis before those of space, of one example or of a batch."""
        shape = self._shape(input)
        if len(shape) not in (self.space + 1, self.space + 2):
            raise ValueError(f"expected an input with {self.space + 1} axes, or {self.space + 2} with a batch, got shape {shape}")
        return shape[-self.space - 1]

    def extra_repr(self):
        return ", ".join(f"{name}={value!r}" for name, value in self._arguments.items() if name != "dtype")

    def _meet(self, original, inputs):
        """Of a copy bound in `init`: let the original become what it is, and be a copy of that, with abstract values."""
        binding, path = self._binding, self._path
        original.become(*inputs)
        self.__class__ = original.__class__
        self.__dict__.update(original._copy(binding, path, {}, {}).__dict__)
        binding.params.update({self._paths[n]: jnp.zeros(p.shape, p.dtype) for n, p in self._parameters.items()})
        binding.new_buffers.update({self._paths[n]: b.make(None) for n, b in self._buffers.items()})


_NAMED = "_bpjax_module_is_named"

_FREEZE = (
    "a gradient is taken of the parameters that bpjax.grad gets: freeze some by jax.lax.stop_gradient on their part of params in the "
    "loss, or by optax.multi_transform with optax.set_to_zero()"
)

_OF_TENSORS = {  # PyTorch's attributes of a parameter, and what stands for them here, where a parameter is declared and holds no array
    "requires_grad": _FREEZE,
    "grad": "bpjax.grad returns the gradients, in the form of params",
    "data": "a parameter is declared here and holds no array; its value is in what model.init returns",
}

_INSTEAD = {  # PyTorch's methods that change a module in place, and what stands for them here, where a module holds no arrays
    **dict.fromkeys(("train", "eval", "training"), "the mode is an argument, model.apply(params, x, train=True)"),
    **dict.fromkeys(("to", "cuda", "cpu"), "arrays have the device, jax.device_put(params, device)"),
    **dict.fromkeys(
        ("float", "double", "half", "bfloat16", "type"), "arrays have the dtype, jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)"
    ),
    "state_dict": "the parameters are not inside, bpjax.interop.state_dict(params, buffers)",
    "load_state_dict": "the parameters are not inside, params, buffers = bpjax.interop.load_state_dict(model, mapping)",
    "zero_grad": "a gradient is a value, and bpjax.grad takes that of its argument, the parameters",
    **dict.fromkeys(("requires_grad", "requires_grad_"), _FREEZE),
    "reset_parameters": "model.init(key) makes new parameters",
    **dict.fromkeys(
        ("register_forward_hook", "register_full_backward_hook"), "bpjax.backprop gives every module's delta, bpjax.grad(at=) changes it"
    ),
}


def _directly_in(value) -> list:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list | tuple) else []


@functools.cache
def _loop_code() -> dict:
    """The code of what traces a function once and runs it for many steps, and its name."""
    code = {inspect.unwrap(f).__code__: name for f, name in ((lax.scan, "lax.scan"), (lax.while_loop, "lax.while_loop"))}
    mapped = [c for c in inspect.unwrap(jax.vmap).__code__.co_consts if isinstance(c, types.CodeType)]
    return code | dict.fromkeys(mapped, "jax.vmap")


def _loops() -> list[str]:
    """The loops and maps whose function is being traced here, the innermost first. Nothing public in JAX but the stack tells."""
    found, frame, code = [], sys._getframe(1), _loop_code()
    while frame is not None:
        if frame.f_code in code:
            found.append(code[frame.f_code])
        frame = frame.f_back
    return found


def _check_key(who, rng):
    dtype = getattr(rng, "dtype", None)
    is_key = dtype is not None and (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32 and rng.shape[-1:] in ((2,), (4,)))
    if not is_key:
        raise TypeError(f"{who}: rng must be a key such as jax.random.key(0), got {type(rng).__name__}")


def _indented(text):
    return text.replace("\n", "\n  ")


def _join(path, name):
    return f"{path}.{name}" if path else name


def fold_path(rng, path):
    """The key of what stands at a path."""
    return jax.random.fold_in(rng, zlib.crc32(path.encode()))


def nested(values: Mapping[str, Any]) -> dict:
    """Values by path as nested dicts."""
    tree: dict = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        at = tree
        for parent in parents:
            at = at.setdefault(parent, {})
        at[name] = value
    return tree


def flat(tree, prefix="") -> dict:
    """Nested dicts as values by path."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    values = {}
    for name, value in tree.items():
        values.update(flat(value, _join(prefix, str(name))))
    return values


def _checked(module, kind, declared, given) -> dict:
    """The values by path; every mismatch in one error."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{type(module).__name__}: expected {kind} as nested dicts, as init makes them; got {type(given).__name__}")
    values = flat(given)
    wrong = [f"missing: {p} {d.shape}" for p, d in declared.items() if p not in values]
    wrong += [f"unexpected: {p}" for p in values if p not in declared]
    wrong += [
        f"deleted: {p}: its memory went to a train step that donates; keep a copy, or donate=False" for p in values if is_deleted(values[p])
    ]
    for path, d in declared.items():
        if (
            path in values
            and (shape := getattr(values[path], "shape", jnp.shape(values[path]) if _is_number(values[path]) else None)) != d.shape
        ):
            wrong.append(f"wrong shape: {path}: expected {d.shape}, got {type(values[path]).__name__ if shape is None else shape}")
    if wrong:
        raise ValueError(f"{type(module).__name__}: the {kind} do not fit:\n  " + "\n  ".join(wrong))
    return values


def _is_number(x):
    return isinstance(x, int | float)
