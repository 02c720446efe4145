"""Cases of linear maps."""

from .table import module, normal

module("Linear", "with bias", lambda lib: lib.nn.Linear(4, 3), [normal(5, 4)])
module("Linear", "without bias", lambda lib: lib.nn.Linear(4, 3, bias=False), [normal(5, 4)])
module("Linear", "leading axes", lambda lib: lib.nn.Linear(4, 3), [normal(2, 3, 4)])
module("Linear", "one vector", lambda lib: lib.nn.Linear(4, 3), [normal(4)])
module("Linear", "batch 0", lambda lib: lib.nn.Linear(4, 3), [normal(0, 4)])
module("Bilinear", "with bias", lambda lib: lib.nn.Bilinear(4, 3, 5), [normal(5, 4), normal(5, 3)])
module("Bilinear", "without bias", lambda lib: lib.nn.Bilinear(4, 3, 5, bias=False), [normal(5, 4), normal(5, 3)])
module("Bilinear", "leading axes", lambda lib: lib.nn.Bilinear(4, 3, 5), [normal(2, 5, 4), normal(2, 5, 3)])
module("Bilinear", "sizes of 1", lambda lib: lib.nn.Bilinear(1, 1, 1), [normal(1, 1), normal(1, 1, seed=1)])
module("Flatten", "from 1", lambda lib: lib.nn.Flatten(), [normal(2, 3, 4)])
module("Flatten", "from 0", lambda lib: lib.nn.Flatten(0), [normal(2, 3, 4)])
module("Flatten", "in the middle", lambda lib: lib.nn.Flatten(1, 2), [normal(2, 3, 4, 5)])
module("Flatten", "last alone", lambda lib: lib.nn.Flatten(-1, -1), [normal(2, 3)])
module("Identity", "any", lambda lib: lib.nn.Identity(), [normal(2, 3)])
module("Identity", "arguments that mean nothing", lambda lib: lib.nn.Identity(54, unused=1), [normal(2, 3)])
module("Identity", "scalar", lambda lib: lib.nn.Identity(), [normal()])
module("Identity", "empty", lambda lib: lib.nn.Identity(), [normal(0, 3)])
