"""Containers: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections.abc import Iterable, Mapping

from .module import Module, Parameter


class _List(Module):
    """What the lists share: entries named 0, 1, 2, ... in `_entries()`, each checked by `_entry`."""

    def _entries(self) -> dict:
        return self._modules

    def _entry(self, value):
        return _module(self, value)

    def _set(self, entries):
        """Have these entries, named anew."""
        self._refuse_if_bound()
        self._entries().clear()
        for i, value in enumerate(entries):
            setattr(self, str(i), value)
        return self

    def append(self, value):
        """Add one at the end."""
        setattr(self, str(len(self)), self._entry(value))
        return self

    def extend(self, values):
        """Add several at the end."""
        for value in values:
            self.append(value)
        return self

    def insert(self, index, value):
        """Add one before position `index`, which is at most the length."""
        entries = list(self._entries().values())
        entries.insert(_position(self, index, len(entries), at_end=True), self._entry(value))
        return self._set(entries)

    def pop(self, index=-1):
        """Take one out and return it; of a slice, several."""
        value = self[index]
        del self[index]
        return value

    def _values(self):
        return [getattr(self, name) for name in self._entries()]

    def __iter__(self):
        return iter(self._values())

    def __len__(self):
        return len(self._entries())

    def __contains__(self, value):
        return any(value is entry for entry in self._values())

    def __getitem__(self, index):
        values = self._values()
        if not isinstance(index, slice):
            return values[_position(self, index, len(values))]
        part = type(self)()._set(list(self._entries().values())[index])
        if self._binding is not None:  # a slice of a bound module is bound
            names = list(self._entries())[index]
            paths = {str(i): self._paths[name] for i, name in enumerate(names) if name in self._paths}
            part.__dict__.update(_binding=self._binding, _path=self._path, _paths=paths)
        return part

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            entries = list(self._entries().values())
            entries[index] = map(self._entry, value)
            self._set(entries)
        else:
            setattr(self, list(self._entries())[_position(self, index, len(self))], self._entry(value))

    def __delitem__(self, index):
        entries = list(self._entries().values())
        del entries[index if isinstance(index, slice) else _position(self, index, len(entries))]
        self._set(entries)

    def _joined(self, others):
        """A list of its kind, a subclass being of that of its parent, with those of others behind."""
        kind = next(k for k in type(self).__mro__ if k.__module__ == __name__)
        joined = kind()._set([*self._entries().values(), *map(self._entry, others)])
        if self._modules:  # of a bound module's children it is bound
            joined.__dict__.update(_binding=self._binding, _path=self._path)
        return joined

    def __add__(self, others):
        return self._joined(others)

    def __iadd__(self, others):
        return self.extend(others)


class Sequential(_List):
    """Modules called one after the other; also takes an ordered dict of them.

    Shapes: those of its modules.
    Backward: theirs, from the last to the first.
    Errors: TypeError for what is not a module.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Sequential.html

    >>> from bpjax import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args):
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else ((str(i), m) for i, m in enumerate(args))
        for name, module in named:
            setattr(self, name, self._entry(module))

    def forward(self, input):
        for module in self:
            input = module(input)
        return input

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return super().__getitem__(index)
        part = type(self)(dict(list(self._modules.items())[index]))  # keeps the names, and with them the parameters' paths
        part.__dict__.update(_binding=self._binding, _path=self._path)
        return part

    def __add__(self, others):
        return self._joined(self._sequential(others))

    def __iadd__(self, others):
        return self.extend(self._sequential(others))

    def _sequential(self, others):
        if not isinstance(others, Sequential):
            raise ValueError(f"{type(self).__name__}: expected another Sequential to add, got {type(others).__name__}: use extend")
        return list(others)

    def __mul__(self, times):
        return self._joined([*self] * (self._times(times) - 1))

    __rmul__ = __mul__

    def __imul__(self, times):
        return self.extend([*self] * (self._times(times) - 1))

    def _times(self, times):
        if not isinstance(times, int):
            raise TypeError(f"{type(self).__name__}: expected a whole number to multiply by, got {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"{type(self).__name__}: expected a positive number to multiply by, got {times}")
        return times


class ModuleList(_List):
    """A list of modules; call them yourself.

    Backward: that of its modules.
    Errors: TypeError for what is not a module.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ModuleList.html

    >>> from bpjax import nn
    >>> nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        self.extend(modules or ())

    def _children_repr(self):
        """Equal neighbours on one line."""
        runs: list = []
        for i, child in enumerate(self):
            text = repr(child)
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        return [(f"{a}", text) if a == b else (f"{a}-{b}", f"{b - a + 1} x {text}") for a, b, text in runs]


class ParameterList(_List):
    """A list of parameters, named 0, 1, 2, ...; an array becomes a parameter that starts as it.

    Backward: none of its own.
    Errors: TypeError for what is neither.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ParameterList.html

    >>> from bpjax import nn
    >>> nn.ParameterList([nn.Parameter((2, 3), 0.0), nn.Parameter((4,), 1.0)])
    ParameterList(
      (0): Parameter((2, 3))
      (1): Parameter((4,))
    )
    """

    def __init__(self, values: Iterable[Parameter] | None = None):
        self.extend(values or ())

    def _entries(self):
        return self._parameters

    def _entry(self, value):
        return _parameter(self, value)

    def _children_repr(self):
        return [(name, repr(declared)) for name, declared in self._parameters.items()]


class _Dict(Module):
    """What the dicts share: entries in `_entries()`, each checked by `_entry`."""

    def _entries(self) -> dict:
        return self._modules

    def _entry(self, value):
        return _module(self, value)

    def __setitem__(self, name, value):
        setattr(self, name, self._entry(value))

    def __getitem__(self, name):
        if name not in self._entries():
            raise KeyError(f"{type(self).__name__}: no {name!r} among {', '.join(map(repr, self._entries())) or 'its 0 entries'}")
        return getattr(self, name)

    def __delitem__(self, name):
        self._refuse_if_bound()
        self[name]  # a KeyError that names it
        del self._entries()[name]

    def __contains__(self, name):
        return name in self._entries()

    def __iter__(self):
        return iter(self._entries())

    def __len__(self):
        return len(self._entries())

    def keys(self):
        return self._entries().keys()

    def values(self):
        return [self[name] for name in self]

    def items(self):
        return [(name, self[name]) for name in self]

    def update(self, values):
        """Add those of a mapping, or of pairs."""
        for name, value in dict(values).items():
            self[name] = value

    def pop(self, name):
        """Take one out and return it."""
        value = self[name]
        del self[name]
        return value

    def popitem(self):
        """Take the last one out and return its name and it."""
        name = list(self._entries())[-1]
        return name, self.pop(name)

    def clear(self):
        """Take all out."""
        self._refuse_if_bound()
        self._entries().clear()


class ModuleDict(_Dict):
    """A dict of modules; call them yourself.

    Backward: that of its modules.
    Errors: TypeError for what is not a module.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html

    >>> from bpjax import nn
    >>> nn.ModuleDict({"act": nn.ReLU()})
    ModuleDict(
      (act): ReLU()
    )
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None):
        self.update(modules or {})


class ParameterDict(_Dict):
    """A dict of parameters; an array becomes a parameter that starts as it.

    Backward: none of its own.
    Errors: TypeError for what is neither.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ParameterDict.html

    >>> from bpjax import nn
    >>> nn.ParameterDict({"left": nn.Parameter((2, 3), 0.0)})
    ParameterDict(
      (left): Parameter((2, 3))
    )
    """

    def __init__(self, parameters: Mapping[str, Parameter] | Iterable[tuple[str, Parameter]] | None = None):
        self.update(parameters or {})

    def _entries(self):
        return self._parameters

    def _entry(self, value):
        return _parameter(self, value)

    def get(self, name, default=None):
        return self[name] if name in self else default

    def setdefault(self, name, default=None):
        """The entry of this name, which is `default` if it was not there."""
        if name not in self:
            self[name] = default
        return self[name]

    def copy(self):
        """Another dict of the same parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, keys, default=None):
        """Another dict, with `default` under each of the keys."""
        return ParameterDict((name, default) for name in keys)

    def __reversed__(self):
        return reversed(self._entries())

    def __or__(self, others):
        joined = self.copy()
        joined |= others
        return joined

    def __ror__(self, others):
        return {**others, **self}

    def __ior__(self, others):
        self.update(others)
        return self

    def _children_repr(self):
        return [(name, repr(declared)) for name, declared in self._parameters.items()]


def _module(container, value):
    if not isinstance(value, Module):
        raise TypeError(f"{type(container).__name__}: expected modules, got {type(value).__name__}")
    return value


def _parameter(container, value):
    if isinstance(value, Parameter):
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return Parameter(value)
    raise TypeError(f"{type(container).__name__}: expected parameters or arrays, got {type(value).__name__}")


def _position(container, index, n, at_end=False):
    """The index, if the container has an entry there; `at_end` also the place behind the last."""
    if not hasattr(index, "__index__"):
        raise TypeError(f"{type(container).__name__}: expected a whole number as index, got {type(index).__name__}")
    if not -n <= index < n + at_end:
        raise IndexError(f"{type(container).__name__}: no entry {index} among {n}")
    return index
