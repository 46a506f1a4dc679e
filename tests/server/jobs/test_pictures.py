"""Pictures of jobs: measured by their headers, decoded as their model's recipe has it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from connector import BlobForbidden, BlobPolicy, BlobTooLarge, BlobUnreadable
from connector.server.jobs.catalogue import Catalogue
from connector.server.jobs.pictures import decoded, encoded, stays_whole
from connector.space import PictureFrame
from tests.server.jobs.bodies import file
from tests.server.jobs.conftest import SPACE, png, raw, url

POLICY = BlobPolicy(allow_files=False, max_pixels=10_000)
FRAME = PictureFrame(64)


def test_a_picture_is_measured_and_not_decoded() -> None:
    damaged = file("PNG", size=(60, 40))[:-40]
    for sent in (raw(damaged), url(damaged)):
        found = encoded(sent, POLICY, "'image'")
        assert (found.data, found.pixels) == (damaged, 2400)
    with pytest.raises(BlobUnreadable, match="'image' cannot be decoded as PNG"):
        decoded(Catalogue(SPACE).find("stand-in"), damaged, POLICY, FRAME, "'image'")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("https://x.example/a.png", BlobForbidden),
        ("shoe.png", BlobUnreadable),
        (url(png(size=(200, 200))), BlobTooLarge),
    ],
)
def test_what_cannot_be_taken_is_called_by_its_name(sent: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"'image\[7\]' "):
        encoded(sent, POLICY, "'image[7]'")


def turned() -> bytes:
    """A picture of 60 x 40 whose EXIF says that it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((60, 40)).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("stand-in", (64, 96)),  # upright, and shrunk or grown to the handler's frame
        ("clip-vit-large-patch14", (336, 224)),  # as it lies in the file, to the recipe's frame
        ("dino-v2-vits14", (60, 40)),  # as it lies, and whole
    ],
)
def test_a_recipe_decodes_as_the_service_does_and_other_models_as_the_house_does(
    model: str, size: tuple[int, int]
) -> None:
    found = decoded(Catalogue(SPACE).find(model), turned(), POLICY, FRAME, "'image'")
    assert (found.image.mode, found.image.size) == ("RGB", size)


def test_pictures_stay_whole_where_nothing_says_what_to_shrink_them_to() -> None:
    catalogue = Catalogue(SPACE)
    whole = {model.name: stays_whole(model, FRAME) for model in catalogue}
    assert [name for name, stays in whole.items() if stays] == ["dino-v2-vits14"]
    assert stays_whole(catalogue.find("demo"), None)
    assert not stays_whole(catalogue.find("open-clip-vit-b32"), None)
