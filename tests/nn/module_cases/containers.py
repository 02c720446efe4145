"""Cases of containers, Repeat and the lazy modules."""

import collections

from .table import module, normal

x = normal(5, 4)


def dense(lib, n=3):
    return [lib.nn.Linear(4, 4) for _ in range(n)]


module("Sequential", "of layers", lambda lib: lib.nn.Sequential(lib.nn.Linear(4, 3), lib.nn.Tanh(), lib.nn.Linear(3, 2)), [x])
module("Sequential", "by name", lambda lib: lib.nn.Sequential(collections.OrderedDict(a=lib.nn.Linear(4, 3), b=lib.nn.Tanh())), [x])
module("Sequential", "nested, sliced", lambda lib: lib.nn.Sequential(lib.nn.Sequential(*dense(lib))[1:], lib.nn.Tanh()), [x])
module("Sequential", "extended", lambda lib: lib.nn.Sequential(*dense(lib, 1)).append(lib.nn.Tanh()).extend(dense(lib, 1)), [x])
module("Sequential", "inserted", lambda lib: lib.nn.Sequential(*dense(lib, 2)).insert(1, lib.nn.Tanh()), [x])


def net(lib, declare, forward):
    """A module with these two methods."""

    class Net(lib.nn.Module):
        def __init__(self):
            super().__init__()
            declare(self)

        def forward(self, x):
            return forward(self, x)

    return Net()


def each(self, x):
    for layer in self.held:
        x = layer(x)
    return x


def held(make):
    """`declare` that holds what `make` makes."""
    return lambda self: setattr(self, "held", make())


module("ModuleList", "in turn", lambda lib: net(lib, held(lambda: lib.nn.ModuleList(dense(lib))), each), [x])
module("ModuleList", "appended", lambda lib: net(lib, held(lambda: lib.nn.ModuleList().append(lib.nn.Linear(4, 2))), each), [x])
module("ModuleList", "joined", lambda lib: net(lib, held(lambda: lib.nn.ModuleList(dense(lib, 1)) + dense(lib, 1)), each), [x])
module("ModuleList", "the last alone",
       lambda lib: net(lib, held(lambda: lib.nn.ModuleList(dense(lib))), lambda self, x: self.held[-1](x)), [x])  # fmt: skip

branches = lambda lib: lib.nn.ModuleDict({"left": lib.nn.Linear(4, 3), "right": lib.nn.Linear(4, 3, bias=False)})
both = lambda lib: held(lambda: branches(lib))
pairs = lambda lib: held(lambda: lib.nn.ModuleDict([("a", lib.nn.Linear(4, 4))]))
module("ModuleDict", "values", lambda lib: net(lib, both(lib), lambda self, x: sum(m(x) for m in self.held.values())), [x])
module("ModuleDict", "by name", lambda lib: net(lib, both(lib), lambda self, x: self.held["right"](x)), [x])
module("ModuleDict", "items", lambda lib: net(lib, both(lib), lambda self, x: sum(len(n) * m(x) for n, m in self.held.items())), [x])
module("ModuleDict", "of pairs", lambda lib: net(lib, pairs(lib), lambda self, x: self.held["a"](x)), [x])

parameters = lambda lib: [lib.parameter(normal(4, seed=i)) for i in range(3)]
listed = lambda lib: held(lambda: lib.nn.ParameterList(parameters(lib)))
module("ParameterList", "in turn", lambda lib: net(lib, listed(lib), lambda self, x: sum(p * x for p in self.held)), [x])
module("ParameterList", "by number", lambda lib: net(lib, listed(lib), lambda self, x: x * self.held[1] + self.held[-1]), [x])
module("ParameterList", "a slice", lambda lib: net(lib, listed(lib), lambda self, x: sum(p * x for p in self.held[1:])), [x])
module(
    "ParameterList",
    "appended",
    lambda lib: net(lib, held(lambda: lib.nn.ParameterList().append(parameters(lib)[0])), lambda self, x: x * self.held[0]),
    [x],
)
named = lambda lib: held(lambda: lib.nn.ParameterDict(dict(zip("abc", parameters(lib)))))
module("ParameterDict", "by name", lambda lib: net(lib, named(lib), lambda self, x: x * self.held["a"] + self.held["c"]), [x])
module("ParameterDict", "values", lambda lib: net(lib, named(lib), lambda self, x: sum(p * x for p in self.held.values())), [x])
module("ParameterDict", "get", lambda lib: net(lib, named(lib), lambda self, x: x * self.held.get("b")), [x])
module("ParameterDict", "items", lambda lib: net(lib, named(lib), lambda self, x: sum(p * ord(n) for n, p in self.held.items()) * x), [x])

block = lambda lib, *more: lib.nn.Sequential(lib.nn.Linear(4, 4), *more)
module("Repeat", "a layer", lambda lib: lib.nn.Repeat(lib.nn.Linear(4, 4), 3), [x], parity=False)
module("Repeat", "a block", lambda lib: lib.nn.Repeat(block(lib, lib.nn.Tanh()), 2), [x], parity=False)
module("Repeat", "buffers", lambda lib: lib.nn.Repeat(block(lib, lib.nn.BatchNorm1d(4)), 2), [x], parity=False)
module("Repeat", "random", lambda lib: lib.nn.Repeat(block(lib, lib.nn.Dropout(0.4)), 2), [x], parity=False)
module("Repeat", "lean", lambda lib: lib.nn.Repeat(block(lib, lib.nn.BatchNorm1d(4), lib.nn.Dropout(0.4)), 2, "lean"), [x], parity=False)
module("Repeat", "of Repeat", lambda lib: lib.nn.Repeat(lib.nn.Repeat(lib.nn.Linear(4, 4), 2), 2), [x], parity=False)

shapes = {1: (2, 3, 5), 2: (2, 3, 4, 5), 3: (1, 3, 3, 4, 3)}
for bias, shape in [(True, (5, 4)), (False, (5, 4)), (True, (2, 3, 4)), (True, (4,))]:
    module("LazyLinear", f"{bias} {shape}", lambda lib, bias=bias: lib.nn.LazyLinear(3, bias=bias), [normal(*shape)])
for n, shape in shapes.items():
    for name, options in [
        (f"LazyConv{n}d", [{}, {"stride": 2}, {"padding": 1, "bias": False}, {"dilation": 2 if n < 3 else 1, "padding_mode": "zeros"}]),
        (f"LazyConvTranspose{n}d", [{}, {"stride": 2}, {"padding": 1, "bias": False}, {"stride": 2, "output_padding": 1}]),
    ]:
        for o in options:
            module(name, str(o), lambda lib, name=name, o=o: getattr(lib.nn, name)(2, 2, **o), [normal(*shape)])
    for kind in ["BatchNorm", "InstanceNorm"]:
        for o in [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": 0.3, "eps": 1e-3}]:
            module(f"Lazy{kind}{n}d", str(o), lambda lib, name=f"Lazy{kind}{n}d", o=o: getattr(lib.nn, name)(**o), [normal(*shape)])
