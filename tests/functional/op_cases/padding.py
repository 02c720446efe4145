"""Cases of padding."""

from .table import case, normal

case("pad", "reflect", [normal(2, 4, 4)], pad=(1, 2, 3, 0), mode="reflect")
case("pad", "replicate", [normal(1, 2, 3, 2)], pad=(2, 1, 0, 4), mode="replicate")
case("pad", "circular", [normal(2, 1, 3, 2, 2)], pad=(2, 1, 0, 2, 3, 1), mode="circular")
case("pad", "constant", [normal(3, 2)], pad=(1, 2, 0, 1), value=2.5)
case("pad", "constant, every axis, negative", [normal(4, 3, 2)], pad=(1, -1, -1, 0, -2, 2))
case("pad", "reflect, negative", [normal(2, 3, 4)], pad=(-3, 2, 1, -1), mode="reflect")
case("pad", "replicate, negative", [normal(2, 4)], pad=(-4, 3), mode="replicate")
case("pad", "circular, negative", [normal(2, 3, 4)], pad=(-1, 2, 2, -1), mode="circular")
case("pad", "replicate, batch 0", [normal(0, 2, 3)], pad=(1, 1), mode="replicate")
case("pad", "constant, nothing to pad", [normal(0, 2)], pad=(1, 1, 2, 0), value=1.0)
case("pad", "no axis", [normal(2, 2)], pad=())
