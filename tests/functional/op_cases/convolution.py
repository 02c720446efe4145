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
case("conv2d", "stride beyond the kernel", [image, normal(3, 4, 2, 1), normal(3)], stride=(4, 3))
case("conv2d", "1x1, batch 0", [image[:0], normal(3, 4, 1, 1)])
case("conv2d", "depthwise, batch 0", [image[:0], normal(4, 1, 3, 3)], groups=4)
case("conv2d", "batch 0", [image[:0], normal(3, 4, 2, 2), normal(3)])

case("conv2d", "many weights", [normal(2, 8, 5, 4), normal(3, 8, 3, 3), normal(3)], padding=1)
case("conv2d", "many weights, stride, dilation", [normal(2, 8, 7, 8), normal(3, 8, 3, 3)], stride=(2, 3), dilation=(1, 2), padding=2)
case("conv2d", "many weights, batch 0", [normal(0, 8, 5, 4), normal(3, 8, 3, 3)])
case("conv1d", "many weights", [normal(2, 23, 6), normal(3, 23, 3)], padding=1)
case("conv3d", "many weights", [normal(2, 6, 3, 3, 4), normal(2, 6, 2, 2, 3)], padding=1, stride=(1, 1, 2))
case("conv_transpose2d", "many weights", [normal(2, 3, 4, 3), normal(3, 8, 3, 3), normal(8)], stride=2, padding=1, output_padding=1)
case("conv_transpose2d", "many weights, stride 1", [normal(2, 3, 4, 3), normal(3, 8, 3, 3), normal(8)], padding=1)
case("conv1d", "plain", [normal(3, 3, 3), normal(3, 3, 3, seed=1), normal(3)], padding=1)
case("conv1d", "one sequence, without bias", [normal(4, 7), normal(6, 2, 3)], stride=2, dilation=2, groups=2)
case("conv1d", "same, an even kernel", [normal(2, 4, 5), normal(4, 1, 4), normal(4)], padding="same", groups=4)
case("conv1d", "stride beyond the kernel", [normal(1, 2, 11), normal(3, 2, 1), normal(3)], stride=(3,), padding="valid")
case("conv1d", "batch 0", [normal(0, 2, 5), normal(3, 2, 2), normal(3)])

case("conv3d", "plain", [normal(2, 2, 3, 3, 3), normal(2, 2, 2, 2, 2), normal(2)])
case("conv3d", "one volume, without bias", [normal(4, 5, 4, 3), normal(2, 2, 3, 2, 1)], stride=(2, 1, 3), padding=(1, 0, 1), groups=2)
case("conv3d", "same, even kernels", [normal(1, 2, 2, 4, 3), normal(2, 2, 2, 3, 2), normal(2)], padding="same", dilation=(1, 2, 1))
case("conv3d", "batch 0", [normal(0, 2, 3, 3, 3), normal(3, 2, 2, 2, 2), normal(3)])

case("conv_transpose1d", "plain", [normal(3, 3, 3), normal(3, 3, 3, seed=1), normal(3)], padding=1)
case("conv_transpose1d", "one sequence, without bias", [normal(4, 3), normal(4, 3, 2)], stride=3, output_padding=2, groups=2)
case("conv_transpose1d", "depthwise, dilated", [normal(2, 4, 3), normal(4, 1, 3), normal(4)], stride=2, padding=3, dilation=3, groups=4)
case("conv_transpose1d", "output_padding beyond the stride", [normal(1, 2, 3), normal(2, 2, 2), normal(2)], dilation=3, output_padding=2)
case("conv_transpose1d", "batch 0", [normal(0, 2, 3), normal(2, 3, 2), normal(3)], stride=2)

case("conv_transpose2d", "plain", [normal(2, 2, 4, 4), normal(2, 2, 2, 2), normal(2)], stride=2, padding=1)
case("conv_transpose2d", "one image, without bias", [normal(4, 3, 2), normal(4, 3, 2, 3)], stride=(3, 1), padding=(1, 0), groups=2)
case("conv_transpose2d", "stride beyond the kernel", [normal(1, 2, 2, 3), normal(2, 3, 1, 1), normal(3)], stride=3, output_padding=(1, 2))
for groups, dilation, output_padding in [(1, 2, 1), (2, (1, 2), (0, 1)), (4, 1, (1, 0))]:
    options = {"groups": groups, "dilation": dilation, "output_padding": output_padding}
    arrays = [normal(2, 4, 3, 2), normal(4, 4 // groups, 2, 3), normal(4)]
    case("conv_transpose2d", " ".join(map(str, options.values())), arrays, stride=2, padding=1, **options)
case("conv_transpose2d", "more taps than values", [normal(1, 2, 3, 2), normal(2, 2, 2, 4)], stride=2, padding=(1, 0))
case("conv_transpose2d", "batch 0", [normal(0, 2, 3, 3), normal(2, 3, 2, 2), normal(3)])

case("conv_transpose3d", "plain", [normal(2, 2, 2, 2, 2), normal(2, 2, 2, 2, 2, seed=1), normal(2)])
case("conv_transpose3d", "one volume, without bias", [normal(4, 2, 1, 3), normal(4, 1, 2, 3, 1)], stride=(2, 1, 3), padding=1, groups=2)
case(
    "conv_transpose3d", "output_padding, dilated", [normal(1, 2, 2, 1, 2), normal(2, 1, 2, 2, 1), normal(2)],
    stride=2, dilation=(1, 2, 1), output_padding=(1, 0, 1), groups=2,
)  # fmt: skip
case("conv_transpose3d", "batch 0", [normal(0, 2, 2, 2, 2), normal(2, 3, 2, 2, 2), normal(3)])
