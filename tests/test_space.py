"""A space says what becomes a vector, refuses what cannot, and loads nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connector import (
    Blob,
    EmbeddingEngineConfig,
    Field,
    Id,
    ImageSpace,
    InvalidSpaceParamException,
    ModelHandler,
    Schema,
    SchemaError,
    Text,
)


class Photo(Schema):
    id: Id
    image: Blob
    back: Blob
    description: Text


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text
    price: Field[float]


def test_the_defaults_are_those_of_the_class_it_continues() -> None:
    space = ImageSpace(Photo.image)
    assert space.model == "clip-ViT-B-32"
    assert space.model_handler is ModelHandler.SENTENCE_TRANSFORMERS
    assert space.model_cache_dir is None
    assert space.embedding_engine_config == EmbeddingEngineConfig()
    assert space.weights == (0.5, 0.5)
    assert space.parts == "unit"
    assert space.keep_parts


def test_the_parameters_may_be_positional_in_the_known_order() -> None:
    config = EmbeddingEngineConfig(precision="float32")
    space = ImageSpace(Photo.image, "demo", ModelHandler.OPEN_CLIP, "models", config)
    assert (space.model, space.model_handler, space.model_cache_dir) == (
        "demo",
        ModelHandler.OPEN_CLIP,
        Path("models"),
    )
    assert space.embedding_engine_config is config


def test_a_blob_alone_is_not_described() -> None:
    space = ImageSpace(Photo.image)
    assert not space.described
    assert [(e.schema, e.blob, e.description) for e in space.entries] == [(Photo, Photo.image, None)]


@pytest.mark.parametrize("image", [Photo.image + Photo.description, Photo.description + Photo.image])
def test_a_described_blob_in_either_order(image: Any) -> None:
    space = ImageSpace(image)
    assert space.described
    assert (space.entries[0].blob, space.entries[0].description) == (Photo.image, Photo.description)


def test_several_schemas_share_one_space_and_none_is_skipped() -> None:
    space: ImageSpace[Photo | Product] = ImageSpace([None, Photo.image, Product.photo + Product.title, None])
    assert space.schemas == (Photo, Product)
    assert space.entry(Product).description is Product.title


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (None, "at least one picture"),
        ([], "at least one picture"),
        ([None, None], "at least one picture"),
        ([Photo.image, Photo.back], "Duplicates of Photo"),
        (Photo.description, r"Photo\.<blob> \+ Photo\.description"),
        (Product.price, "must be a Blob field"),
        ("image", "Got str"),
        ([Photo.image, 5], "Got int"),
    ],
)
def test_an_image_that_cannot_work_is_refused_with_the_cure(image: Any, told: str) -> None:
    with pytest.raises(InvalidSpaceParamException, match=told):
        ImageSpace(image)


def test_picture_and_description_of_two_schemas_are_refused() -> None:
    mixed: Any = Product.title
    with pytest.raises(InvalidSpaceParamException, match="must be in the same schema"):
        ImageSpace(Photo.image + mixed)


@pytest.mark.parametrize("model", [5, "", "  ", None])
def test_a_model_must_be_named(model: Any) -> None:
    with pytest.raises(InvalidSpaceParamException, match="Give the name of a model"):
        ImageSpace(Photo.image, model=model)


def test_handler_config_parts_and_weights_are_checked() -> None:
    wrong: Any = "open_clip"
    with pytest.raises(InvalidSpaceParamException, match=r"Use one of ModelHandler\.SENTENCE_TRANSFORMERS"):
        ImageSpace(Photo.image, model_handler=wrong)
    with pytest.raises(InvalidSpaceParamException, match="Use EmbeddingEngineConfig"):
        ImageSpace(Photo.image, embedding_engine_config=wrong)
    with pytest.raises(InvalidSpaceParamException, match="Use 'unit' or 'raw'"):
        ImageSpace(Photo.image, parts=wrong)
    with pytest.raises(InvalidSpaceParamException, match="a search can"):
        ImageSpace(Photo.image, weights=(1, -1))
    with pytest.raises(InvalidSpaceParamException, match="plain sum without weights"):
        ImageSpace(Photo.image, parts="raw", weights=(0.7, 0.3))


def test_a_handler_without_a_text_tower_refuses_a_description_when_the_space_is_declared() -> None:
    with pytest.raises(
        InvalidSpaceParamException, match=r"Photo\.description cannot be fused. Use ImageSpace\(Photo\.image"
    ):
        ImageSpace(Photo.image + Photo.description, model_handler=ModelHandler.DINOV2)
    assert ImageSpace(Photo.image, model_handler=ModelHandler.DINOV2).model_handler is ModelHandler.DINOV2


def test_schemas_of_one_space_may_share_a_name_only_for_the_same_kind_of_value() -> None:
    class Ware(Schema):
        sku: Id
        picture: Blob
        price: Field[str]

    with pytest.raises(
        InvalidSpaceParamException, match=r"Product\.price and Ware\.price are of different kinds"
    ):
        ImageSpace([Product.photo, Ware.picture])


def test_the_exception_is_a_schema_error() -> None:
    assert issubclass(InvalidSpaceParamException, SchemaError)


def test_spaces_are_values() -> None:
    space = ImageSpace(Photo.image + Photo.description, weights=(0.7, 0.3))
    assert space == ImageSpace([Photo.description + Photo.image], weights={"image": 0.7, "text": 0.3})
    assert hash(space) == hash(ImageSpace(Photo.image + Photo.description, weights=(0.7, 0.3)))
    assert space != ImageSpace(Photo.image + Photo.description)
    assert space != ImageSpace(
        Photo.image + Photo.description,
        weights=(0.7, 0.3),
        embedding_engine_config=EmbeddingEngineConfig(precision="float16"),
    )
    assert repr(space).startswith("ImageSpace(Photo.image + Photo.description, model='clip-ViT-B-32'")


def test_another_model_makes_another_space_and_leaves_the_first() -> None:
    images: Any = [Photo.image, Product.photo + Product.title]
    space = ImageSpace(images, weights=(0.7, 0.3), keep_parts=False)
    other = space.with_model("demo", ModelHandler.OPEN_CLIP)
    assert (space.model, other.model, other.model_handler) == (
        "clip-ViT-B-32",
        "demo",
        ModelHandler.OPEN_CLIP,
    )
    assert (other.weights, other.keep_parts, other.schemas) == (space.weights, False, space.schemas)


def test_the_transformation_config_names_the_three_steps() -> None:
    config = ImageSpace(
        Photo.image + Photo.description, model="demo", weights=(0.7, 0.3)
    ).transformation_config
    assert config.embedding_config.model == "demo"
    assert config.aggregation_config.weights == (0.7, 0.3)
    assert config.aggregation_config.parts == "unit"


def test_length_is_known_where_the_name_tells_and_asked_of_the_model_otherwise() -> None:
    assert ImageSpace(Photo.image).length == 512
    assert ImageSpace(Photo.image, model_handler=ModelHandler.STAND_IN).length == 64


def test_declaring_a_space_loads_nothing_heavy() -> None:
    code = """
import sys
from connector import Blob, Id, ImageSpace, Schema, Text

class Photo(Schema):
    id: Id
    image: Blob
    description: Text

ImageSpace(Photo.image + Photo.description)
print([name for name in ("torch", "numpy", "PIL", "qdrant_client", "qdrant_edge", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
