"""Cases of convolution."""

from .table import case, normal

image = normal(2, 4, 7, 6)
case("conv2d", "plain", [image, normal(3, 4, 3, 3), normal(3)])
case("conv2d", "without bias, one image", [image[0], normal(3, 4, 3, 2)])
for stride, padding, dilation, groups in [  # every pair of options meets
    (1, 0, 1, 1), (1, (1, 2), (2, 1), 2), (1, "same", 1, 4), (1, "same", (2, 1), 1), (2, (1, 2), 1, 1), (2, "valid", (2, 1), 4),
    (2, 0, 1, 2), ((3, 2), 0, (2, 1), 4), ((3, 2), (1, 2), 1, 4), ((3, 2), "valid", 1, 2), (1, "same", 1, 2),
]:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    case("conv2d", " ".join(map(str, options.values())), [image, normal(4, 4 // groups, 3, 2), normal(4)], **options)
case("conv2d", "1x1", [image, normal(3, 4, 1, 1)])
case("conv2d", "padding beyond the kernel", [image, normal(3, 4, 2, 2)], padding=3, stride=3)
