"""Cases of unfold and fold."""

from .table import case, normal

options = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)}

case("unfold", "plain", [normal(2, 2, 4, 4)], kernel_size=2)
case("unfold", "one image, every option", [normal(2, 5, 6)], **options)
case("unfold", "stride beyond the kernel", [normal(1, 3, 7, 5)], kernel_size=(2, 1), stride=3)
case("unfold", "padding beyond the kernel", [normal(1, 1, 2, 1)], kernel_size=2, padding=3, stride=2)
case("unfold", "batch 0", [normal(0, 2, 3, 3)], kernel_size=2)

case("fold", "plain", [normal(4, 4, 4)], output_size=3, kernel_size=2)
case("fold", "one image, every option", [normal(12, 10)], output_size=(5, 6), **options)
case("fold", "stride beyond the kernel", [normal(1, 6, 4)], output_size=(7, 5), kernel_size=(2, 1), stride=3)
case("fold", "padding beyond the kernel", [normal(1, 4, 12)], output_size=(2, 1), kernel_size=2, padding=3, stride=2)
case("fold", "batch 0", [normal(0, 8, 4)], output_size=3, kernel_size=2)
