"""Cases of the gates of feed-forward blocks."""

from .table import case, edge, normal

one, other = normal(6, 6), normal(6, 6, seed=1)
for name in ("swiglu", "geglu"):
    case(name, "square", [one, other])
    case(name, "far out", [edge, edge[::-1]], entrywise=name == "swiglu")
    case(name, "one value", [normal(), normal(seed=1)])
    case(name, "batch 0", [normal(0, 3), normal(0, 3)])
case("geglu", "tanh", [one, other], approximate="tanh")
case("geglu", "tanh, far out", [edge, edge[::-1]], approximate="tanh")
