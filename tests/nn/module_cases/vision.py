"""Cases of what rearranges, resizes and samples images."""

import numpy as np

from .table import module, normal

for channels, size, r in [(4, (3, 2), 2), (9, (1, 2), 3), (8, (2, 2), 2), (2, (2, 3), 1)]:
    module("PixelShuffle", f"{channels} {r}", lambda lib, r=r: lib.nn.PixelShuffle(r), [normal(2, channels, *size)])
    module("PixelUnshuffle", f"{channels} {r}", lambda lib, r=r: lib.nn.PixelUnshuffle(r), [normal(2, 2, size[0] * r, size[1] * r)])
module("PixelShuffle", "one image", lambda lib: lib.nn.PixelShuffle(2), [normal(4, 2, 3)])
for shape, groups in [((2, 4, 3, 2), 2), ((1, 6, 2, 2), 3), ((2, 6, 3), 2), ((1, 4, 2, 1, 2), 4)]:
    module("ChannelShuffle", f"{shape} {groups}", lambda lib, groups=groups: lib.nn.ChannelShuffle(groups), [normal(*shape)])

line, image, volume = normal(2, 2, 5), normal(1, 2, 4, 5), normal(1, 2, 3, 4, 2)
RESIZED = [
    ("Upsample", line, {"size": 8}), ("Upsample", image, {"scale_factor": 2}), ("Upsample", image, {"size": (3, 7), "mode": "bilinear"}),
    ("Upsample", volume, {"scale_factor": (2, 1.5, 2), "mode": "trilinear", "align_corners": True}),
    ("Upsample", line, {"scale_factor": 1.7, "mode": "linear", "recompute_scale_factor": True}),
    ("UpsamplingNearest2d", image, {"scale_factor": 2}), ("UpsamplingNearest2d", image, {"size": 3}),
    ("UpsamplingNearest2d", image, {"size": (5, 9)}), ("UpsamplingNearest2d", image, {"scale_factor": (1.5, 2.5)}),
    ("UpsamplingBilinear2d", image, {"scale_factor": 2}), ("UpsamplingBilinear2d", image, {"size": 3}),
    ("UpsamplingBilinear2d", image, {"size": (1, 9)}), ("UpsamplingBilinear2d", image, {"scale_factor": (1.5, 2.5)}),
]  # fmt: skip
for name, x, options in RESIZED:
    module(name, str(options), lambda lib, name=name, options=options: getattr(lib.nn, name)(**options), [x])

INTERPOLATED = [
    (line, {"size": 3}), (volume, {"scale_factor": 2.5}), (image, {"size": (7, 3), "mode": "nearest-exact"}),
    (image, {"scale_factor": 0.7, "mode": "nearest"}), (line, {"size": 3, "mode": "area"}), (image, {"size": (3, 7), "mode": "area"}),
    (volume, {"size": (2, 3, 3), "mode": "area"}), (line, {"size": 9, "mode": "linear"}),
    (line, {"size": 1, "mode": "linear", "align_corners": True}), (image, {"scale_factor": 1.6, "mode": "bilinear"}),
    (image, {"scale_factor": 0.6, "mode": "bilinear", "recompute_scale_factor": True}),
    (volume, {"scale_factor": 1.4, "mode": "trilinear"}),
    (image, {"size": (7, 8), "mode": "bicubic"}), (image, {"size": (7, 3), "mode": "bicubic", "align_corners": True}),
    (image, {"scale_factor": 0.6, "mode": "bicubic"}), (image, {"size": (2, 3), "mode": "bilinear", "antialias": True}),
    (image, {"size": (9, 3), "mode": "bicubic", "antialias": True}),
    (image, {"scale_factor": 0.6, "mode": "bicubic", "antialias": True}),
    (image, {"size": (7, 2), "mode": "lanczos", "antialias": True}),
    (image, {"scale_factor": 0.6, "mode": "lanczos", "antialias": True, "align_corners": False}),
    (image, {"size": (4, 5), "mode": "bilinear"}), (image[..., :2], {"scale_factor": 1.4}),
    (image[..., :2], {"scale_factor": 1.4, "mode": "bicubic"}),
]  # fmt: skip
for x, options in INTERPOLATED:
    make = lambda lib, options=options: lambda x: lib.F.interpolate(x, **options)
    module("interpolate", f"{x.ndim - 2} {options}", make, [x])

places, places3 = 0.8 * normal(1, 3, 4, 2, seed=5), 0.8 * normal(1, 2, 3, 2, 3, seed=5)
for mode in ["bilinear", "nearest", "bicubic"]:
    for padding in ["zeros", "border", "reflection"]:
        for corners in [False, True]:
            options = {"mode": mode, "padding_mode": padding, "align_corners": corners}
            make = lambda lib, options=options: lambda x, grid: lib.F.grid_sample(x, grid, **options)
            module("grid_sample", " ".join(map(str, options.values())), make, [image, places])
for options in [{}, {"padding_mode": "reflection", "align_corners": True}, {"mode": "nearest", "padding_mode": "border"}]:
    make = lambda lib, options={"align_corners": False, **options}: lambda x, grid: lib.F.grid_sample(x, grid, **options)
    module("grid_sample", f"volume {options}", make, [volume, places3])
module("grid_sample", "one pixel", lambda lib: lambda x, g: lib.F.grid_sample(x, g, align_corners=False), [normal(1, 1, 1, 1), places])

for size, corners in [((2, 1, 3, 4), False), ((2, 1, 3, 4), True), ((1, 1, 1, 5), True), ((1, 2, 2, 3, 2), False), ((1, 2, 1, 3, 2), True)]:
    theta = normal(size[0], len(size) - 2, len(size) - 1)
    make = lambda lib, size=size, corners=corners: lambda theta: lib.F.affine_grid(theta, size, align_corners=corners)
    module("affine_grid", f"{size} {corners}", make, [theta])

for name, x, options in [
    ("pixel_shuffle", np.arange(8.0).reshape(1, 8, 1, 1), (2,)), ("pixel_unshuffle", np.arange(8.0).reshape(2, 2, 2), (2,)),
    ("channel_shuffle", np.arange(6.0).reshape(1, 6, 1), (3,)),
]:  # fmt: skip
    module(name, "by name", lambda lib, name=name, options=options: lambda x: getattr(lib.F, name)(x, *options), [x])
