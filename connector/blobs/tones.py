"""From every mode Pillow decodes to 8-bit RGB: transparency on white, deep greys scaled and not clipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scale = Callable[[NDArray[np.number]], NDArray[np.uint8]]

_WHITE = (255, 255, 255)
_BAND = 1_000_000
"""Values converted at a time."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB; the same object where it is so already and opaque.

    Transparency is laid on white. CMYK, YCbCr and LAB are converted by Pillow, colour profiles are not
    applied. Greys of more than 8 bits are scaled by `scaled_grey`, where Pillow's `convert` would clip
    them.
    """
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return scaled_grey(image).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # premultiplied grey knows one way out only
        image = image.convert("LA")
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    white = Image.new("RGB", image.size, _WHITE)
    white.paste(image, mask=image)
    return white


def scaled_grey(image: Image.Image) -> Image.Image:
    """A grey of mode I;16, I or F in mode L.

    Files seldom say what their white is, so the range of the values decides:

    | values            | black and white                                             |
    |-------------------|-------------------------------------------------------------|
    | I, I;16: 0..255   | 0 and 255 (8 bits stored in 16)                             |
    | 0..4095           | 0 and 4095 (12 bits, as cameras and scanners for medicine)  |
    | 0..65535          | 0 and 65535                                                 |
    | F: 0..1           | 0 and 1                                                     |
    | 0..255, 0..65535  | 0 and 255, 0 and 65535                                      |
    | any other         | the lowest and the highest value                            |
    """
    to_eight_bits = _float_scale(image) if image.mode == "F" else _integer_scale(image)
    grey = Image.new("L", image.size)
    for top, values in _bands(image):
        grey.paste(Image.fromarray(to_eight_bits(values)), (0, top))
    return grey


def _bands(image: Image.Image) -> Iterator[tuple[int, NDArray[np.number]]]:
    """The picture's values a few rows at a time, each with its top: whole, they would double the memory it takes."""
    import numpy as np

    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield top, np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))


def _range(image: Image.Image) -> tuple[float, float]:
    """The lowest and the highest finite value; zeros where there is none."""
    import numpy as np

    low, high = np.inf, -np.inf
    for _, values in _bands(image):
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _integer_scale(image: Image.Image) -> Scale:
    low, high = _range(image)
    if low < 0 or high > 65535:
        return _stretch(low, high)
    bits = 8 if high <= 255 else 12 if high <= 4095 else 16
    # A shift and no proportion: 256 levels stay 256 levels, whether they were stored as n * 256 or as n * 257.
    return lambda values: (values.astype("uint16") >> (bits - 8)).astype("uint8")


def _float_scale(image: Image.Image) -> Scale:
    low, high = _range(image)
    if low < 0 or high > 65535:
        return _stretch(low, high)
    return _stretch(0.0, 1.0 if high <= 1 else 255.0 if high <= 255 else 65535.0)


def _stretch(black: float, white: float) -> Scale:
    """`black` becomes 0, `white` 255; what is no number becomes black, the infinities black and white."""
    import numpy as np

    def scale(values: NDArray[np.number]) -> NDArray[np.uint8]:
        known = np.nan_to_num(values.astype("float64"), nan=black, posinf=white, neginf=black)
        scaled: NDArray[np.uint8] = np.rint((known - black) * 255.0 / ((white - black) or 1.0)).astype(
            "uint8"
        )
        return scaled

    return scale
