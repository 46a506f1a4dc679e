"""A job's pictures: refused by their header when they come, decoded when their turn comes."""

from __future__ import annotations

import dataclasses

from connector.blobs.as_sent import decode_as_sent, image_bytes
from connector.blobs.fetch import Fetched, digest
from connector.blobs.formats import HEAD_BYTES, sniff
from connector.blobs.openers import decoding, opened
from connector.blobs.picture import Picture, decode
from connector.blobs.policy import BlobPolicy
from connector.server.jobs.catalogue import JobModel
from connector.transformation import PictureFrame


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A picture as its file has it: its bytes, and how many pixels its header says it has."""

    data: bytes
    pixels: int


def encoded(text: str, policy: BlobPolicy, name: str) -> Encoded:
    """Read a picture out of a request's text; its header is checked, its pixels are not decoded.

    Raises:
        BlobError: it is no picture, too large, or somewhere else; `name` is how the message calls it.
    """
    data = image_bytes(text, policy, name)
    with decoding(name, sniff(data[:HEAD_BYTES])), opened(data, policy, name) as image:
        return Encoded(data, image.width * image.height)


def decoded(
    model: JobModel, data: bytes, policy: BlobPolicy, frame: PictureFrame | None, name: str
) -> Picture:
    """Decode a picture for a model whose handler declares `frame`.

    Raises:
        BlobError: it is damaged, or larger than its header said.
    """
    if model.recipe is None:
        return decode(Fetched(data, None, digest(data), None, name), policy, frame)
    return decode_as_sent(
        data, policy, model.recipe.frame, resized_first=model.recipe.resized_first, name=name
    )


def stays_whole(model: JobModel, frame: PictureFrame | None) -> bool:
    """Whether pictures reach the model in their own size, so that a few large ones fill the memory."""
    return (frame if model.recipe is None else model.recipe.frame) is None
