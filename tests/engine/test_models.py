"""Names to files: folder, cache, probe, download; and what is said when none of them helps."""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from PIL import Image

from connector.demo import MODEL_FOLDER
from connector.engine import TextHandler, load_handler, vector_length
from connector.engine import hub as hub_module
from connector.engine.models import find, locate
from connector.errors import ModelUnavailable
from connector.space import ImageEmbeddingConfig, ModelHandler
from tests.engine.conftest import cosines
from tests.engine.hub import Hub, ask, serve

ST, OPEN_CLIP, DINOV2 = ModelHandler.SENTENCE_TRANSFORMERS, ModelHandler.OPEN_CLIP, ModelHandler.DINOV2
Configured = Callable[..., ImageEmbeddingConfig]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache."""
    return tmp_path / "cache"


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a CLIP in two revisions, and files that nobody needs."""
    main = shutil.copytree(folders["clip_saved"], tmp_path / "main")
    (main / "onnx").mkdir()
    (main / "onnx" / "model.onnx").write_bytes(b"for another program")
    (main / "pytorch_model.bin").write_bytes(b"pickle")
    hub = Hub("org/clip", {"main": main, "old": folders["clip_legacy"]})
    with serve(hub, monkeypatch):
        yield hub


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ask(f"http://127.0.0.1:{free.getsockname()[1]}", monkeypatch)


# names


def test_demo_is_the_model_that_ships_with_the_package() -> None:
    for handler in (ST, OPEN_CLIP):
        assert locate("demo", handler) == MODEL_FOLDER


def test_demo_gives_the_same_vectors_through_both_libraries(
    configured: Configured, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    one, other = (load_handler(configured("demo", handler)) for handler in (ST, OPEN_CLIP))
    assert isinstance(one, TextHandler)
    assert isinstance(other, TextHandler)
    assert one.identity["name"] == other.identity["name"] == "demo"
    assert one.length == other.length == vector_length(configured("demo"))
    # Where the libraries' resizes differ by a grey level, the model's answer to tiny noise differs more.
    large = [picture for picture in pictures if min(picture.size) > 64]
    assert cosines(one.embed_images(large), other.embed_images(large)).min() >= 0.99999
    assert (
        cosines(one.embed_texts(["a red mug", "hat"]), other.embed_texts(["a red mug", "hat"])).min()
        >= 0.99999
    )


def test_a_folder_wins_over_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, handler in [("clip-ViT-B-32", ST), ("org/name", DINOV2), ("ViT-B-32", OPEN_CLIP)]:
        (tmp_path / name).mkdir(parents=True)
        assert locate(name, handler) == Path(name)


@pytest.mark.parametrize(
    ("name", "handler", "repository"),
    [
        ("clip-ViT-B-32", ST, "sentence-transformers/clip-ViT-B-32"),
        ("google/siglip-base-patch16-224", ST, "google/siglip-base-patch16-224"),
        ("facebook/dinov2-small", DINOV2, "facebook/dinov2-small"),
        ("hf-hub:timm/ViT-B-16-SigLIP", OPEN_CLIP, "timm/ViT-B-16-SigLIP"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", OPEN_CLIP, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("ViT-B-32/laion2b_s34b_b79k", OPEN_CLIP, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("ViT-B-32/openai", OPEN_CLIP, "timm/vit_base_patch32_clip_224.openai"),
    ],
)
def test_names_lead_to_the_hub(name: str, handler: ModelHandler, repository: str) -> None:
    assert locate(name, handler) == repository


def test_open_clips_own_spelling_of_a_folder(tmp_path: Path) -> None:
    assert locate(f"local-dir:{tmp_path}", OPEN_CLIP) == tmp_path


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-32/laion9000"])
def test_an_architecture_without_weights_is_refused_with_the_tags_there_are(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=rf"'{name}' .*random numbers.* ViT-B-32/laion2b_s34b_b79k"):
        locate(name, OPEN_CLIP)


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./folder", "~/folder", "a/b/c", "a\\b", "local-dir:/no/folder"]
)
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ModelUnavailable, match="does not exist"):
        locate(name, OPEN_CLIP)


@pytest.mark.parametrize(
    ("name", "handler"), [("dinov2-small", DINOV2), ("no-such-arch", OPEN_CLIP), ("", ST)]
)
def test_a_bare_name_that_leads_nowhere_says_what_to_write(name: str, handler: ModelHandler) -> None:
    with pytest.raises(ModelUnavailable, match=r"neither a folder nor a hub name.*'org/name'"):
        locate(name, handler)


def test_a_name_that_no_hub_model_can_have(configured: Configured, cache: Path) -> None:
    with pytest.raises(ModelUnavailable, match="neither a folder nor a hub name"):
        find(configured("org/a name", cache=cache))


# folders


def test_a_folder_of_another_handler_is_refused(folders: dict[str, Path], configured: Configured) -> None:
    with pytest.raises(ModelUnavailable, match=r"has no open_clip_config\.json"):
        find(configured(folders["clip"], OPEN_CLIP))


def test_renaming_a_folder_changes_nothing_but_the_name(
    folders: dict[str, Path], configured: Configured, tmp_path: Path
) -> None:
    shutil.copytree(folders["clip"], tmp_path / "renamed")
    one, other = (
        load_handler(configured(folder)).identity for folder in (folders["clip"], tmp_path / "renamed")
    )
    assert (one.pop("name"), other.pop("name")) == ("clip", "renamed")
    assert one == other
    assert all(isinstance(value, str) for value in one.values())
    assert not any(str(tmp_path) in value for value in other.values())


# the hub


def test_a_model_is_downloaded_once_and_then_needs_no_hub(
    hub: Hub, cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured("org/clip", cache=cache)
    first = find(config)
    assert first.revision == hub.commit("main")
    hub.requests.clear()
    assert find(config) == first
    assert hub.requests == []
    assert load_handler(config).identity["revision"] == hub.commit("main")


def test_only_what_is_read_is_downloaded(hub: Hub, cache: Path, configured: Configured) -> None:
    find(configured("org/clip", cache=cache))
    fetched = {Path(path).name for path in hub.requests if "/resolve/" in path}
    assert {"model.safetensors", "config.json", "modules.json", "tokenizer.json"} <= fetched
    assert not {"model.onnx", "pytorch_model.bin"} & fetched


def test_a_downloaded_model_and_a_copy_of_it_have_the_same_weights_digest(
    hub: Hub, cache: Path, configured: Configured, folders: dict[str, Path]
) -> None:
    downloaded = load_handler(configured("org/clip", cache=cache)).identity
    copied = load_handler(configured(folders["clip_saved"])).identity
    assert downloaded["weights"] == copied["weights"]


def test_a_revision_is_pinned(hub: Hub, cache: Path, configured: Configured) -> None:
    old = find(configured("org/clip", cache=cache, revision="old"))
    assert old.revision == hub.commit("old")
    assert (old.folder / "0_CLIPModel").is_dir()
    assert find(configured("org/clip", cache=cache)).revision == hub.commit("main")
    exact = configured("org/clip", cache=cache, revision=hub.commit("old"), offline=True)
    assert find(exact) == find(configured("org/clip", cache=cache, revision="old"))


def test_a_revision_that_does_not_exist(hub: Hub, cache: Path, configured: Configured) -> None:
    with pytest.raises(ModelUnavailable, match=r"at revision 'v9' .*no such revision"):
        find(configured("org/clip", cache=cache, revision="v9"))


def test_a_model_that_does_not_exist(hub: Hub, cache: Path, configured: Configured) -> None:
    hub.status = 401
    with pytest.raises(ModelUnavailable, match="no such model, or it is private"):
        find(configured("org/clip", cache=cache))


def test_a_model_behind_terms(hub: Hub, cache: Path, configured: Configured) -> None:
    hub.status = 403
    with pytest.raises(ModelUnavailable, match="accept its terms"):
        find(configured("org/clip", cache=cache))


def test_a_download_that_was_interrupted_is_completed(hub: Hub, cache: Path, configured: Configured) -> None:
    config = configured("org/clip", cache=cache)
    whole = find(config)
    for file in whole.weights:
        file.resolve().unlink()
        file.unlink()
    with pytest.raises(ModelUnavailable, match="no weight file"):
        find(configured("org/clip", cache=cache, offline=True))
    assert find(config) == whole


@pytest.mark.usefixtures("hub")
def test_a_small_file_that_is_missing_is_fetched_and_if_it_cannot_be_the_model_is_tried_all_the_same(
    cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured("org/clip", cache=cache)
    tokens = find(config).folder / "tokenizer.json"
    tokens.unlink()
    find(config)
    assert tokens.is_file()
    tokens.unlink()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert find(config).folder == tokens.parent
    assert "using the cached copy of org/clip though files are missing" in caplog.text


@pytest.mark.usefixtures("hub")
def test_a_download_that_cannot_be_completed_says_so(
    cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured("org/clip", cache=cache)
    for file in find(config).weights:
        file.unlink()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="only partly in the local cache"):
        find(config)


def test_a_hub_model_of_pickles_is_refused(hub: Hub, cache: Path, configured: Configured) -> None:
    (hub.revisions["main"] / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"no safetensors.*unsafe_weights=True"):
        find(configured("org/clip", cache=cache))
    assert not any("/resolve/" in path for path in hub.requests)
    unsafe = find(configured("org/clip", cache=cache, unsafe_weights=True))
    assert [file.name for file in unsafe.weights] == ["pytorch_model.bin"]


def test_progress_is_logged_and_nothing_is_printed(
    hub: Hub,
    cache: Path,
    configured: Configured,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.INFO, "connector"):
        find(configured("org/clip", cache=cache))
    assert "downloading the model org/clip" in caplog.text
    assert "downloaded the model org/clip in" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_an_open_clip_model_is_downloaded_and_pinned_too(
    folders: dict[str, Path], cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub("org/open", {"main": folders["open_clip_words"]})
    with serve(hub, monkeypatch):
        for name in ("org/open", "hf-hub:org/open"):
            handler = load_handler(configured(name, OPEN_CLIP, cache=cache))
            assert handler.identity["revision"] == hub.commit("main")
            assert handler.length == 24


# no hub


@pytest.mark.usefixtures("no_hub")
def test_without_a_hub_every_cure_is_named_and_the_cause_is_kept(cache: Path, configured: Configured) -> None:
    with pytest.raises(ModelUnavailable) as raised:
        load_handler(configured("clip-ViT-B-32", cache=cache))
    message = str(raised.value)
    assert message.startswith("Model 'sentence-transformers/clip-ViT-B-32' is not in the local cache")
    for part in (
        str(cache),
        constants.ENDPOINT,
        "once with network",
        "give its path",
        "HF_ENDPOINT",
        "model='demo'",
    ):
        assert part in message
    assert raised.value.__cause__ is not None


def test_a_hub_that_never_answers_is_given_up_after_the_probe(
    cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "PROBE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ask(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        with pytest.raises(ModelUnavailable, match="Timeout"):
            find(configured("clip-ViT-B-32", cache=cache))


def test_the_probe_takes_three_seconds_at_most() -> None:
    assert hub_module.PROBE_SECONDS <= 3


@pytest.mark.parametrize("switch", ["config", "environment"])
def test_offline_asks_nobody(
    switch: str, hub: Hub, cache: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    if switch == "environment":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="switched off"):
        find(configured("org/clip", cache=cache, offline=switch == "config"))
    assert hub.requests == []


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("handler", [ST, OPEN_CLIP, DINOV2])
def test_no_other_model_is_taken_instead(handler: ModelHandler, cache: Path, configured: Configured) -> None:
    with pytest.raises(ModelUnavailable):
        load_handler(configured("org/missing", handler, cache=cache))
