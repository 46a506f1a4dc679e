"""What may be sent and what is answered, on a real socket: inputs, pictures of all kinds, outputs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector.engine.fusion import unit
from connector.server.jobs.catalogue import IMAGE, QUERY, TASKS, TEXT, ZERO_SHOT
from connector.testing import StandInHandler
from tests.server.jobs.bodies import BODIES, CLASSES, MODELS, file
from tests.server.jobs.conftest import JOBS, Live, png, raw, url


def test_vectors_are_those_of_the_models(live: Live) -> None:
    handler = StandInHandler()
    picture = Image.open(io.BytesIO(png(1))).resize((96, 64), Image.Resampling.BICUBIC)
    image = live.made(JOBS, BODIES[IMAGE])["result"]["embedding"]
    np.testing.assert_allclose(image, handler.embed_images([picture])[0], atol=1e-7)
    text = live.made("/api/tasks/text-embedding/stand-in/jobs", BODIES[TEXT])["result"]["embedding"]
    np.testing.assert_allclose(text, handler.embed_texts(["a red mug"])[0], atol=1e-7)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "dino-v2-vits14"])
def test_a_query_is_its_text_and_classes_are_weighed_by_the_softmax_of_cosines(
    live: Live, model: str
) -> None:
    def made(task: str, body: dict[str, Any], batched: str = "") -> Any:
        return live.made(f"/api/tasks/{task}/{batched}{model}/jobs", body)["result"]

    assert made(QUERY, BODIES[QUERY]) == made(TEXT, BODIES[TEXT])
    image = unit(made(IMAGE, BODIES[IMAGE])["embedding"])
    texts = unit([each["embedding"] for each in made(TEXT, {"text": CLASSES}, "batched/")])
    powers = np.exp(texts @ image)
    found = made(ZERO_SHOT, BODIES[ZERO_SHOT])["probabilities"]
    np.testing.assert_allclose(found, powers / powers.sum(), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "task", "length_one"),
    [
        ("clip-vit-large-patch14", IMAGE, True),
        ("clip-vit-large-patch14", TEXT, True),
        ("open-clip-vit-b32", IMAGE, True),
        ("open-clip-vit-b32", QUERY, True),
        ("dino-v2-vits14", IMAGE, False),
    ],
)
def test_the_services_models_are_normalised_as_at_home(
    live: Live, model: str, task: str, length_one: bool
) -> None:
    vector = live.made(f"/api/tasks/{task}/{model}/jobs", BODIES[task])["result"]["embedding"]
    assert (abs(np.linalg.norm(vector) - 1) < 1e-5) == length_one


@pytest.mark.parametrize("more", [{"config": {}}, {"config": {"top_k": 50, "any": [None]}}, {"unknown": 1}])
@pytest.mark.parametrize("task", TASKS)
def test_config_and_unknown_members_make_no_difference(live: Live, task: str, more: dict[str, Any]) -> None:
    path = f"/api/tasks/{task}/stand-in/jobs"
    assert live.made(path, BODIES[task] | more) == live.made(path, BODIES[task])


@pytest.mark.parametrize("model", MODELS)
def test_of_no_inputs_there_are_no_outputs(live: Live, model: str) -> None:
    done = live.made(f"/api/tasks/image-embedding/batched/{model}/jobs", {"image": []})
    assert done == {"status": "complete", "result": []}


@pytest.mark.parametrize(
    "sent",
    [
        url(file("PNG")),
        url(file("JPEG"), "image/jpeg"),
        url(file("JPEG"), "image/jpg"),
        url(file("WEBP"), "image/jpeg"),
        url(file("GIF"), "image/png"),
        raw(file("PNG")),
        raw(file("JPEG")),
        # Refused at home, but harmless:
        raw(file("WEBP")),
        url(file("WEBP"), "image/webp"),
        url(file("GIF"), "image/gif"),
        url(file("PNG"), "IMAGE/PNG").replace("data", "DATA"),
        url(file("PNG"), ""),
        url(file("PNG"), "image/png;charset=utf-8"),
        url(file("PNG"))[:90] + "\n" + url(file("PNG"))[90:],
        "  " + url(file("PNG")),
        raw(file("PNG")).replace("+", "-").replace("/", "_").rstrip("="),
    ],
)
def test_pictures_are_taken_as_clients_send_them(live: Live, sent: str) -> None:
    assert (
        live.made("/api/tasks/image-embedding/dino-v2-vits14/jobs", {"image": sent})["status"] == "complete"
    )
    assert live.made(JOBS, {"image": sent})["status"] == "complete"


@pytest.mark.parametrize(
    ("format_name", "mode", "size"),
    [
        ("PNG", "L", (60, 40)),
        ("PNG", "LA", (60, 40)),
        ("PNG", "P", (60, 40)),
        ("PNG", "1", (60, 40)),
        ("PNG", "RGBA", (60, 40)),
        ("PNG", "I;16", (60, 40)),
        ("JPEG", "L", (60, 40)),
        ("JPEG", "CMYK", (60, 40)),
        ("PNG", "RGB", (1, 1)),
        ("PNG", "RGB", (50, 1)),
        ("PNG", "RGB", (50, 3)),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_pictures_of_all_modes_and_small_ones_are_embedded_by_all_models(
    live: Live, model: str, format_name: str, mode: str, size: tuple[int, int]
) -> None:
    body = {"image": url(file(format_name, mode, size))}
    done = live.made(f"/api/tasks/image-embedding/{model}/jobs", body)
    assert done["status"] == "complete", done


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "blob_unreadable"),
        ("shoe", "blob_unreadable"),
        ("../../etc/passwd", "blob_unreadable"),
        ("https://x.example/shoe.jpg", "blob_forbidden"),
        ("http://169.254.169.254/latest/meta-data", "blob_forbidden"),
        ("file:///etc/passwd", "blob_forbidden"),
        ("s3://bucket/shoe.jpg", "blob_forbidden"),
        ("data:image/png,abc", "blob_unreadable"),
        ("data:image/png;base64,", "blob_unreadable"),
        ("data:image/png;base64,!!!!", "blob_unreadable"),
        (url(b"hello, world" * 9, "text/plain"), "blob_unreadable"),
        (url(b"<html>" * 30), "blob_unreadable"),
        (url(png()[:30]), "blob_unreadable"),
    ],
)
@pytest.mark.parametrize("task", [IMAGE, ZERO_SHOT])
def test_what_is_no_picture_is_refused_at_once_with_a_reason(
    live: Live, task: str, sent: str, code: str
) -> None:
    body = BODIES[task] | {"image": sent}
    for path in (f"/api/tasks/{task}/demo/jobs", f"/api/legacy/tasks/{task}/demo/jobs"):
        answer = live.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["detail"].startswith("'image' ")
    answer = live.post(f"/api/tasks/{task}/batched/demo/jobs", body | {"image": [url(png()), sent]})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"].startswith("'image[1]' ")


def test_the_bytes_decide_and_not_the_pixels_order(live: Live) -> None:
    """At home two pictures of the same raw bytes share a vector: 60x20 and 20x60, a red palette and a blue one."""

    def vector(image: Image.Image) -> Any:
        out = io.BytesIO()
        image.save(out, "PNG")
        body = {"image": url(out.getvalue())}
        return live.made("/api/tasks/image-embedding/clip-vit-large-patch14/jobs", body)["result"][
            "embedding"
        ]

    noise = np.random.default_rng(0).integers(0, 255, 60 * 20 * 3, np.uint8)
    wide, tall = (Image.fromarray(noise.reshape(shape)) for shape in ((20, 60, 3), (60, 20, 3)))
    assert vector(wide) != vector(tall)
    red, blue = Image.new("P", (40, 40)), Image.new("P", (40, 40))
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    assert vector(red) != vector(blue)
