"""Cases of convolution and transposed convolution."""

from .table import module, normal

sequence, image, volume = normal(2, 4, 7), normal(2, 4, 5, 6), normal(2, 4, 3, 4, 3)

module("Conv1d", "plain", lambda lib: lib.nn.Conv1d(4, 3, 2), [sequence])
module("Conv1d", "strided, padded, dilated", lambda lib: lib.nn.Conv1d(4, 3, 3, 2, 2, 2), [sequence])
module("Conv1d", "groups, without bias, one sequence", lambda lib: lib.nn.Conv1d(4, 6, 2, groups=2, bias=False), [sequence[0]])
module("Conv1d", "depthwise, same, an even kernel", lambda lib: lib.nn.Conv1d(4, 4, 4, padding="same", groups=4), [sequence])
module("Conv1d", "kernel 1, stride beyond it", lambda lib: lib.nn.Conv1d(4, 3, 1, 3, padding="valid"), [sequence])
module("Conv1d", "reflect, one sequence", lambda lib: lib.nn.Conv1d(4, 2, 3, padding=2, padding_mode="reflect"), [sequence[0]])
module("Conv1d", "circular, same", lambda lib: lib.nn.Conv1d(4, 2, 4, padding="same", padding_mode="circular"), [sequence])
module("Conv1d", "batch 0", lambda lib: lib.nn.Conv1d(4, 3, 3), [sequence[:0]])

module("Conv2d", "plain", lambda lib: lib.nn.Conv2d(4, 3, 3), [image])
module("Conv2d", "strided, padded, dilated", lambda lib: lib.nn.Conv2d(4, 3, (2, 3), (2, 1), (1, 2), (1, 2)), [image])
module("Conv2d", "groups, without bias, one image", lambda lib: lib.nn.Conv2d(4, 6, 2, groups=2, bias=False), [image[0]])
module("Conv2d", "depthwise, same, even", lambda lib: lib.nn.Conv2d(4, 8, (4, 2), padding="same", groups=4, dilation=(1, 3)), [image])
module("Conv2d", "1x1", lambda lib: lib.nn.Conv2d(4, 3, 1, padding="valid"), [image])
module("Conv2d", "stride beyond the kernel", lambda lib: lib.nn.Conv2d(4, 3, 2, (3, 4)), [image])
for mode in ("reflect", "replicate", "circular"):
    module("Conv2d", f"{mode}, (2, 1)", lambda lib, m=mode: lib.nn.Conv2d(4, 2, 3, padding=(2, 1), padding_mode=m), [image])
module("Conv2d", "reflect, same, even", lambda lib: lib.nn.Conv2d(4, 2, (4, 3), padding="same", padding_mode="reflect"), [image[0]])
module("Conv2d", "replicate, valid", lambda lib: lib.nn.Conv2d(4, 2, 3, padding="valid", padding_mode="replicate"), [image])
module("Conv2d", "batch 0", lambda lib: lib.nn.Conv2d(4, 3, 3), [image[:0]])

module("Conv3d", "plain", lambda lib: lib.nn.Conv3d(4, 3, 2), [volume])
module("Conv3d", "strided, padded, dilated", lambda lib: lib.nn.Conv3d(4, 3, (1, 3, 2), (1, 2, 3), (0, 1, 1), (1, 1, 2)), [volume])
module("Conv3d", "groups, without bias, one volume", lambda lib: lib.nn.Conv3d(4, 2, 2, groups=2, bias=False), [volume[0]])
module("Conv3d", "depthwise, same, even kernels", lambda lib: lib.nn.Conv3d(4, 4, (2, 1, 2), padding="same", groups=4), [volume])
module("Conv3d", "replicate", lambda lib: lib.nn.Conv3d(4, 2, 2, padding=(1, 0, 2), padding_mode="replicate"), [volume])
module("Conv3d", "circular, one volume", lambda lib: lib.nn.Conv3d(4, 1, 2, padding=1, padding_mode="circular"), [volume[0]])

few, small, smaller = normal(2, 4, 3), normal(2, 4, 3, 2), normal(2, 4, 2, 1, 2)

module("ConvTranspose1d", "plain", lambda lib: lib.nn.ConvTranspose1d(4, 3, 2), [few])
module("ConvTranspose1d", "strided, padded", lambda lib: lib.nn.ConvTranspose1d(4, 3, 3, 2, 1, 1), [few])
module("ConvTranspose1d", "groups, without bias, dilated", lambda lib: lib.nn.ConvTranspose1d(4, 6, 2, 2, 0, 0, 2, False, 3), [few])
module("ConvTranspose1d", "depthwise, one sequence", lambda lib: lib.nn.ConvTranspose1d(4, 4, 3, groups=4), [few[0]])
module("ConvTranspose1d", "output_size", lambda lib: lib.nn.ConvTranspose1d(4, 2, 2, stride=3), [few], kwargs={"output_size": [10]})
module("ConvTranspose1d", "batch 0", lambda lib: lib.nn.ConvTranspose1d(4, 3, 3), [few[:0]])

module("ConvTranspose2d", "plain", lambda lib: lib.nn.ConvTranspose2d(4, 3, 3), [small])
module("ConvTranspose2d", "every option", lambda lib: lib.nn.ConvTranspose2d(4, 6, (2, 3), 2, (1, 2), (1, 0), 2, False, (1, 2)), [small])
module("ConvTranspose2d", "stride beyond the kernel", lambda lib: lib.nn.ConvTranspose2d(4, 3, 1, 3, output_padding=2), [small])
module("ConvTranspose2d", "output_padding, dilated", lambda lib: lib.nn.ConvTranspose2d(4, 2, 2, output_padding=2, dilation=3), [small])
module("ConvTranspose2d", "depthwise, one image", lambda lib: lib.nn.ConvTranspose2d(4, 8, 2, (1, 2), groups=4), [small[0]])
module(
    "ConvTranspose2d", "output_size", lambda lib: lib.nn.ConvTranspose2d(4, 2, 3, 2, padding=(1, 0), dilation=(1, 2)), [small],
    kwargs={"output_size": (2, 2, 6, 8)},
)  # fmt: skip
module(
    "ConvTranspose2d", "output_size, one image", lambda lib: lib.nn.ConvTranspose2d(4, 2, 2, 2), [small[0]], kwargs={"output_size": (7, 4)}
)

module("ConvTranspose3d", "plain", lambda lib: lib.nn.ConvTranspose3d(4, 3, 2), [smaller])
module("ConvTranspose3d", "every option", lambda lib: lib.nn.ConvTranspose3d(4, 4, (1, 2, 2), 2, (0, 0, 1), 1, 2, False, 2), [smaller])
module("ConvTranspose3d", "depthwise, one volume", lambda lib: lib.nn.ConvTranspose3d(4, 4, 2, (1, 2, 3), groups=4), [smaller[0]])
module(
    "ConvTranspose3d", "output_size", lambda lib: lib.nn.ConvTranspose3d(4, 1, 2, stride=(2, 1, 3)), [smaller],
    kwargs={"output_size": (5, 2, 7)},
)  # fmt: skip
