"""Sequential, ModuleList, ModuleDict."""

from collections.abc import Iterable, Mapping

from .module import Module


class Sequential(Module):
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
            setattr(self, name, _module(self, module))

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def append(self, module):
        setattr(self, str(len(self)), _module(self, module))
        return self

    def __iter__(self):
        return iter(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            part = type(self)(dict(list(self._modules.items())[index]))
            part.__dict__.update(_binding=self._binding, _path=self._path)  # a slice of a bound module is bound
            return part
        return list(self._modules.values())[index]


class ModuleList(Module):
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

    def __init__(self, modules: Iterable[Module] = ()):
        self.extend(modules or ())

    def append(self, module):
        setattr(self, str(len(self)), _module(self, module))
        return self

    def extend(self, modules):
        for module in modules:
            self.append(module)
        return self

    def __iter__(self):
        return iter(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, index):
        chosen = list(self._modules.values())[index]
        return type(self)(chosen) if isinstance(index, slice) else chosen

    def __setitem__(self, index, module):
        setattr(self, list(self._modules)[index], _module(self, module))

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


class ModuleDict(Module):
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
        for name, module in dict(modules or {}).items():
            self[name] = module

    def __setitem__(self, name, module):
        setattr(self, name, _module(self, module))

    def __getitem__(self, name):
        return self._modules[name]

    def __contains__(self, name):
        return name in self._modules

    def __iter__(self):
        return iter(self._modules)

    def __len__(self):
        return len(self._modules)

    def keys(self):
        return self._modules.keys()

    def values(self):
        return self._modules.values()

    def items(self):
        return self._modules.items()


def _module(container, module):
    if not isinstance(module, Module):
        raise TypeError(f"{type(container).__name__}: expected modules, got {type(module).__name__}")
    return module
