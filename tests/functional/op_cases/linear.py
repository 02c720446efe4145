"""Cases of linear maps."""

from .table import case, normal, x

case("linear", "matrix", [normal(9, 9), normal(9, 9, seed=1), normal(9)])
case("linear", "tiny", [x, normal(3, 6), normal(3)])
case("linear", "tiny, without bias", [x, normal(3, 6)])
case("linear", "one tiny vector", [normal(6), normal(3, 6), normal(3)])
case("linear", "one vector", [normal(30), normal(20, 30), normal(20)])
case("linear", "many leading axes, without bias", [normal(2, 3, 4, 6), normal(5, 6)])
case("bilinear", "matrix", [normal(4, 3), normal(4, 3, seed=1), normal(5, 3, 3), normal(5)])
case("bilinear", "without bias, leading axes", [normal(2, 4, 2), normal(2, 4, 3), normal(5, 2, 3)])
case("flatten", "all", [x])
case("flatten", "from 1", [normal(2, 3, 4, 2)], start_dim=1, end_dim=2)
case("flatten", "scalar", [normal()])
case("identity", "any", [x])
