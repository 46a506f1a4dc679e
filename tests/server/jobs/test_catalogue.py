"""Names that jobs may use: the service's, the demo's, the space's own, and what each can do."""

from __future__ import annotations

import pytest

from connector import DataError, EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.server.jobs.catalogue import IMAGE, TASKS, Catalogue, task_of
from connector.server.problems import Problem
from tests.conftest import Product
from tests.server.jobs.conftest import SPACE

SERVICE = ["clip-vit-large-patch14", "open-clip-vit-b32", "dino-v2-vits14"]


def names(space: ImageSpace[Product] = SPACE, **options: object) -> list[str]:
    return [model.name for model in Catalogue(space, **options)]  # type: ignore[arg-type]


def test_the_services_models_the_demo_and_the_spaces_own_are_on_offer() -> None:
    assert names() == [*SERVICE, "demo", "stand-in"]
    assert names(ImageSpace(Product.photo, "demo")) == [*SERVICE, "demo"]


@pytest.mark.parametrize(
    ("model", "handler", "name"),
    [
        ("clip-ViT-B-32", ModelHandler.SENTENCE_TRANSFORMERS, "clip-vit-b-32"),
        ("google/siglip2_base", ModelHandler.SENTENCE_TRANSFORMERS, "siglip2-base"),
        ("/srv/models/Our Own v1.5/", ModelHandler.SENTENCE_TRANSFORMERS, "our-own-v1.5"),
        ("C:\\models\\clip", ModelHandler.SENTENCE_TRANSFORMERS, "clip"),
        ("ViT-B-32/laion2b_s34b_b79k", ModelHandler.OPEN_CLIP, "vit-b-32-laion2b-s34b-b79k"),
        ("laion/CLIP-ViT-B-32", ModelHandler.OPEN_CLIP, "clip-vit-b-32"),
        ("facebook/dinov2-small", ModelHandler.DINOV2, "dinov2-small"),
        ("whatever", ModelHandler.STAND_IN, "stand-in"),
        ("openai/clip-vit-large-patch14", ModelHandler.SENTENCE_TRANSFORMERS, "space-clip-vit-large-patch14"),
        ("http://gpu.example:8888/demo", ModelHandler.REMOTE, "space-demo"),
        ("///", ModelHandler.SENTENCE_TRANSFORMERS, "own"),
    ],
)
def test_the_spaces_own_model_has_a_name_for_urls_that_tells_no_path(
    model: str, handler: ModelHandler, name: str
) -> None:
    assert names(ImageSpace(Product.photo, model, handler))[-1] == name


@pytest.mark.parametrize(
    "name", ["clip-vit-large-patch14", "clip_vit_large_patch14", "Clip-ViT_large-patch14"]
)
def test_hyphens_and_underscores_are_the_same(name: str) -> None:
    assert Catalogue(SPACE).find(name).name == "clip-vit-large-patch14"
    assert task_of("image_embedding") == task_of("image-embedding") == IMAGE


def test_unknown_names_are_404_and_the_answer_lists_the_known() -> None:
    with pytest.raises(Problem, match=r"no model 'no_such_model' here. There are clip-vit") as raised:
        Catalogue(SPACE).find("no_such_model")
    assert (raised.value.status, raised.value.code) == (404, "model_unknown")
    with pytest.raises(Problem, match="There are image-embedding, ") as raised:
        task_of("face-embedding")
    assert (raised.value.status, raised.value.code) == (404, "task_unknown")


def test_each_model_does_what_it_can() -> None:
    catalogue = Catalogue(ImageSpace(Product.photo, "facebook/dinov2-small", ModelHandler.DINOV2))
    able = {model.name: model.tasks for model in catalogue}
    assert able == {
        "clip-vit-large-patch14": TASKS,
        "open-clip-vit-b32": TASKS,
        "dino-v2-vits14": (IMAGE,),
        "demo": TASKS,
        "dinov2-small": (IMAGE,),
    }


def test_the_services_models_answer_as_at_home_and_the_others_raw() -> None:
    normalised = {model.name: model.normalised for model in Catalogue(SPACE)}
    assert normalised == {
        "clip-vit-large-patch14": True,
        "open-clip-vit-b32": True,
        "dino-v2-vits14": False,
        "demo": False,
        "stand-in": False,
    }
    assert all((model.recipe is not None) == (model.name in SERVICE) for model in Catalogue(SPACE))


def test_a_setting_chooses_what_is_on_offer() -> None:
    assert names(offered=("demo", "clip_vit_large_patch14")) == ["clip-vit-large-patch14", "demo"]
    with pytest.raises(DataError, match=r"no model 'clip-x' to offer. Choose from clip-vit-large-patch14, "):
        names(offered=("clip-x",))


def test_weights_may_lie_in_folders() -> None:
    catalogue = Catalogue(SPACE, folders={"dino-v2-vits14": "/weights/dino"})
    assert catalogue.find("dino-v2-vits14").config.model == "/weights/dino"
    assert catalogue.find("open-clip-vit-b32").config.model == "xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k"
    with pytest.raises(DataError, match="no model 'dino'"):
        names(folders={"dino": "/weights"})


def test_what_the_space_allows_its_own_model_is_allowed_to_no_other() -> None:
    engine = EmbeddingEngineConfig(
        device="cpu",
        image_batch_size=7,
        revision="abc",
        trust_remote_code=True,
        unsafe_weights=True,
        remote_key="secret-key",
    )
    for model in Catalogue(ImageSpace(Product.photo, "org/own", embedding_engine_config=engine)):
        config = model.config.embedding_engine_config
        assert (config.device, config.image_batch_size) == ("cpu", 7)
        own = model.name == "own"
        assert (config.revision, config.trust_remote_code, config.unsafe_weights) == (
            ("abc", True, True) if own else (None, False, False)
        )
        assert config.remote_key == ("secret-key" if own else None)
