"""Cases of pooling."""

import numpy as np

from .table import apart, case

case("max_pool2d", "2", [apart(2, 3, 6, 6)], kernel_size=2)
case("max_pool2d", "a rest that no window covers", [apart(2, 7, 8)], kernel_size=(2, 3))
case("max_pool2d", "overlapping", [apart(2, 3, 7, 6)], kernel_size=3, stride=2, padding=1)
case("max_pool2d", "dilated", [apart(3, 9, 8)], kernel_size=(3, 2), stride=1, dilation=2)
case("max_pool2d", "ceil", [apart(1, 2, 7, 8)], kernel_size=3, stride=(2, 3), ceil_mode=True)
case("max_pool2d", "ceil, padding", [apart(1, 2, 6, 5)], kernel_size=2, stride=2, padding=1, ceil_mode=True)
case("max_pool2d", "gaps", [apart(1, 2, 8, 8)], kernel_size=2, stride=3)
case("max_pool2d", "ties", [np.ones((1, 1, 6, 6))], kernel_size=3, stride=2, padding=1, smooth=False)
