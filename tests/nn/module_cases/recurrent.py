"""Cases of recurrent layers."""

from .table import module, normal


def of_three(cls):
    """The class, with h and c as two inputs instead of a pair."""
    return type(cls.__name__, (cls,), {"forward": lambda self, input, h, c: cls.forward(self, input, (h, c))})


for name in ["RNN", "LSTM", "GRU"]:
    module(name, "usual", lambda lib, n=name: getattr(lib.nn, n)(3, 4), [normal(5, 2, 3)])
    module(
        name,
        "two layers, both directions, without bias",
        lambda lib, n=name: getattr(lib.nn, n)(3, 4, 2, bias=False, bidirectional=True),
        [normal(3, 2, 3)],
    )
    module(
        name,
        "both directions, batch first, one sequence",
        lambda lib, n=name: getattr(lib.nn, n)(3, 4, batch_first=True, bidirectional=True),
        [normal(3, 3)],
    )
    module(
        name,
        "dropout in training",
        lambda lib, n=name: getattr(lib.nn, n)(3, 4, 2, dropout=0.5),
        [normal(3, 2, 3)],
        modes=("train",),
        parity=False,
    )
    module(name, "dropout of everything", lambda lib, n=name: getattr(lib.nn, n)(3, 4, 2, dropout=1.0), [normal(3, 2, 3)])
    module(name, "one step, hidden 1, batch 0", lambda lib, n=name: getattr(lib.nn, n)(3, 1), [normal(1, 0, 3)])
    module(name + "Cell", "usual", lambda lib, n=name: getattr(lib.nn, n + "Cell")(3, 4), [normal(2, 3)])
    module(name + "Cell", "without bias, one vector", lambda lib, n=name: getattr(lib.nn, n + "Cell")(3, 4, bias=False), [normal(3)])
    module(name + "Cell", "batch 0, hidden 1", lambda lib, n=name: getattr(lib.nn, n + "Cell")(3, 1), [normal(0, 3)])

for kind in ["tanh", "relu"]:
    module("RNNCell", f"{kind}, hx", lambda lib, k=kind: lib.nn.RNNCell(3, 4, nonlinearity=k), [normal(2, 3), normal(2, 4)])
module("RNN", "two layers, hx", lambda lib: lib.nn.RNN(3, 4, 2), [normal(5, 2, 3), normal(2, 2, 4)])
module(
    "RNN",
    "relu, one sequence, hx, both directions",
    lambda lib: lib.nn.RNN(3, 4, nonlinearity="relu", bidirectional=True),
    [normal(3, 3), normal(2, 4)],
)
module("RNN", "relu of zeros", lambda lib: lib.nn.RNN(3, 4, nonlinearity="relu", bias=False), [0 * normal(3, 2, 3)])
module("RNNCell", "one vector, hx", lambda lib: lib.nn.RNNCell(3, 4), [normal(3), normal(4)])

module(
    "LSTM",
    "hx, batch first",
    lambda lib: of_three(lib.nn.LSTM)(3, 5, batch_first=True),
    [normal(2, 3, 3), normal(1, 2, 5), normal(1, 2, 5, seed=1)],
)
module(
    "LSTM", "projected, two layers, both directions", lambda lib: lib.nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2), [normal(3, 2, 3)]
)
module(
    "LSTM",
    "projected, without bias, one sequence, hx",
    lambda lib: of_three(lib.nn.LSTM)(3, 5, bias=False, proj_size=2),
    [normal(3, 3), normal(1, 2), normal(1, 5)],
)
module("LSTMCell", "hx", lambda lib: of_three(lib.nn.LSTMCell)(3, 4), [normal(2, 3), normal(2, 4), normal(2, 4, seed=1)])
module("LSTMCell", "one vector, hx", lambda lib: of_three(lib.nn.LSTMCell)(3, 4), [normal(3), normal(4), normal(4, seed=1)])

module("GRU", "batch first, hx", lambda lib: lib.nn.GRU(3, 4, 2, batch_first=True), [normal(2, 5, 3), normal(2, 2, 4)])
module("GRU", "one sequence, hx", lambda lib: lib.nn.GRU(3, 4), [normal(5, 3), normal(1, 4)])
module("GRUCell", "hx", lambda lib: lib.nn.GRUCell(3, 4), [normal(2, 3), normal(2, 4)])
module("GRUCell", "one vector, hx", lambda lib: lib.nn.GRUCell(3, 4), [normal(3), normal(4)])
