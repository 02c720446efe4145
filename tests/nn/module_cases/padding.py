"""Cases of padding."""

from .table import module, normal

SPACE = {1: (4,), 2: (3, 4), 3: (2, 3, 2)}
WIDTHS = {  # the most that each kind takes at one end; negative where it is cut
    "Reflection": {1: (3, 0), 2: (3, 1, 0, 2), 3: (1, 0, 2, 1, 0, 1)},
    "Replication": {1: (5, 1), 2: (0, 6, 1, 2), 3: (3, 0, 1, 1, 0, 2)},
    "Circular": {1: (4, 1), 2: (0, 4, 3, 2), 3: (2, 0, 1, 3, 0, 2)},
    "Zero": {1: (0, 2), 2: (1, 0, 2, 3), 3: (1, 2, 0, 3, 1, 0)},
    "Constant": {1: (0, 2), 2: (1, 0, 2, 3), 3: (1, 2, 0, 3, 1, 0)},
}
CUTS = {1: (-2, 1), 2: (1, -1, -1, 1), 3: (-1, 1, 1, -2, 0, -1)}

for kind, widths in WIDTHS.items():
    value = (2.5,) if kind == "Constant" else ()
    for n, space in SPACE.items():
        name = f"{kind}Pad{n}d"
        for id, padding, shape in [
            ("1 everywhere", 1, (2, 2, *space)), ("other widths", widths[n], (2, 1, *space)), ("without batch", widths[n], (2, *space)),
            ("negative", CUTS[n], (1, 2, *space)), ("batch 0", 1, (0, 2, *space)),
        ]:  # fmt: skip
            module(name, id, lambda lib, name=name, padding=padding, value=value: getattr(lib.nn, name)(padding, *value), [normal(*shape)])

module("ConstantPad2d", "images alone", lambda lib: lib.nn.ConstantPad2d((1, 0, 0, 2), -1), [normal(2, 3)])
module("ZeroPad1d", "one sequence alone", lambda lib: lib.nn.ZeroPad1d((1, 2)), [normal(3)])
module("pad", "every axis", lambda lib: lambda x: lib.F.pad(x, (0, 1, 2, 0, -1, 3, 1, 0), value=1.5), [normal(2, 2, 1, 3)])
module("pad", "list", lambda lib: lambda x: lib.F.pad(x, [1, 2], "replicate"), [normal(2, 3)])
module("pad", "circular behind channels", lambda lib: lambda x: lib.F.pad(x, (1, 2), mode="circular"), [normal(1, 2, 3)])
module("pad", "reflect, value 0", lambda lib: lambda x: lib.F.pad(x, (0, 2, 1, 0), "reflect", 0), [normal(2, 3, 3)])
module("pad", "cut and reflected", lambda lib: lambda x: lib.F.pad(x, (-4, 2), "reflect"), [normal(1, 4)])
