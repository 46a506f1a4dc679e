"""What a loaded model can do, by its type: one that cannot read text has no `embed_texts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from connector.transformation import PictureFrame


@runtime_checkable
class ImageHandler(Protocol):
    """A loaded model that turns pictures into vectors; the engine sees to batches, order and failures."""

    @property
    def length(self) -> int:
        """The number of values in each vector."""
        ...

    @property
    def frame(self) -> PictureFrame | None:
        """What pictures may be resized to beforehand; None if they must come as they are."""
        ...

    @property
    def identity(self) -> dict[str, str]:
        """What makes the vectors: library, weights, precision, preprocessing; `name` is for reading only."""
        ...

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures, at least one: float32 (n, length), as the library returns them."""
        ...


@runtime_checkable
class TextHandler(ImageHandler, Protocol):
    """A loaded model that turns words into vectors of the same space, too."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, at least one: float32 (n, length); whatever a text looks like, it is not opened."""
        ...


@runtime_checkable
class DeviceHandler(ImageHandler, Protocol):
    """A loaded model that runs on a device of this machine."""

    @property
    def device(self) -> str:
        """Torch's name of the device, such as "cpu" or "cuda:1"."""
        ...


@runtime_checkable
class ResizingHandler(ImageHandler, Protocol):
    """A loaded model that resizes pictures quicker than Pillow does; `PictureFrame.leave` says which it is left."""

    def resize(self, picture: Image) -> Image:
        """Resize an RGB picture as `embed_images` would, which then finds it done. Safe from several threads."""
        ...
