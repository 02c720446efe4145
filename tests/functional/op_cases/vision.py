"""Cases of what rearranges, resizes and samples images."""

from .table import case, normal

for r, shape in [(2, (4, 3, 3)), (3, (2, 9, 1, 2)), (1, (2, 2, 2)), (2, (1, 2, 8, 1, 1))]:
    case("pixel_shuffle", f"{r} {shape}", [normal(*shape)], upscale_factor=r)
for r, shape in [(2, (1, 4, 4)), (3, (2, 2, 3, 6)), (1, (2, 2, 2)), (2, (1, 2, 1, 2, 4))]:
    case("pixel_unshuffle", f"{r} {shape}", [normal(*shape)], downscale_factor=r)
for g, shape in [(2, (1, 4, 3, 3)), (3, (2, 6, 2)), (1, (1, 2, 2)), (2, (0, 4, 2, 2))]:
    case("channel_shuffle", f"{g} {shape}", [normal(*shape)], groups=g)

image = normal(1, 2, 4, 4)
case("interpolate", "bilinear", [image], size=(7, 3), mode="bilinear")
case("interpolate", "nearest", [image], scale_factor=1.6)
case("interpolate", "bicubic", [image], size=(3, 3), mode="bicubic")
case("interpolate", "bicubic, scale", [image], scale_factor=1.2, mode="bicubic")
case("interpolate", "bicubic, scale recomputed, corners", [image], scale_factor=1.6, mode="bicubic", align_corners=True,
     recompute_scale_factor=True)  # fmt: skip
case("interpolate", "nearest, smaller", [image], size=(3, 2))
case("interpolate", "nearest-exact", [image], size=(7, 3), mode="nearest-exact")
for corners in (False, True):
    case("interpolate", f"linear, corners {corners}", [normal(1, 2, 4)], size=7, mode="linear", align_corners=corners)
    case("interpolate", f"bilinear, scale, corners {corners}", [image], scale_factor=(1.7, 0.6), mode="bilinear", align_corners=corners)
    case("interpolate", f"trilinear, corners {corners}", [normal(1, 1, 3, 4, 2)], size=(4, 3, 5), mode="trilinear", align_corners=corners)
case("interpolate", "bicubic, antialias", [image], size=(3, 7), mode="bicubic", antialias=True)
case("interpolate", "lanczos, antialias", [image], size=(2, 7), mode="lanczos", antialias=True)
case("interpolate", "as it is", [image], size=4, mode="bilinear")
case("interpolate", "one pixel, area", [normal(1, 1, 1, 3)], size=(2, 2), mode="area")
case("interpolate", "batch 0", [normal(0, 2, 3)], size=5, mode="linear")

places = 0.7 * normal(1, 4, 4, 2, seed=5)
case("grid_sample", "bilinear", [image, places])
case("grid_sample", "bicubic, reflection", [image, places], mode="bicubic", padding_mode="reflection", align_corners=True)
case("grid_sample", "nearest, border", [image, places], mode="nearest", padding_mode="border")
case("grid_sample", "border", [image, 3 * places], padding_mode="border", align_corners=True)
case("grid_sample", "volume", [normal(2, 1, 2, 3, 2), 0.7 * normal(2, 2, 1, 3, 3)], padding_mode="reflection")
case("grid_sample", "far outside", [image, 100 * places])

for n, corners in [(2, False), (2, True), (3, False), (3, True)]:
    case("affine_grid", f"{n} {corners}", [normal(2, n, n + 1)], size=(2, 1, *(3, 4, 2)[:n]), align_corners=corners)
