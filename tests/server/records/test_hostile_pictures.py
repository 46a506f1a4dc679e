"""Pictures from strangers: no private address is dialled, no path is read, and no bomb takes the server's memory."""

from __future__ import annotations

import base64
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.blobs.pictures import FORMATS, corners, png_claiming, progressive_with_scans, saved
from tests.blobs.servers import World, played
from tests.blobs.test_openers import BOMBS
from tests.blobs.test_web import HOSTILE, NAMES
from tests.conftest import PATIENCE, Shop, until
from tests.server.conftest import Live, OpenLive, ask

PICTURE = saved(corners(), "PNG")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A network of stubs under the server: names lead where NAMES says, and who is dialled answers with a picture."""
    stubbed = World(NAMES, played(PICTURE))
    monkeypatch.setattr("connector.blobs.web.Wire", lambda: stubbed.wire)
    return stubbed


def asked(live: Live, image: str) -> tuple[int, dict[str, Any]]:
    response = live.client.post("/search", json={"image": image})
    return response.status_code, response.json()


def test_no_hostile_url_reaches_dial(live: Live, world: World) -> None:
    wrong = {}
    for url in [*HOSTILE, *(url.upper() for url in HOSTILE if "://[" not in url)]:
        status, problem = asked(live, url)
        if (status, problem.get("code")) != (422, "blob_forbidden"):
            wrong[url] = (status, problem)
    assert wrong == {}
    assert world.dialled == []


def test_no_redirect_to_a_hostile_url_reaches_dial(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {}
    for url in [url for url in HOSTILE if url.startswith("http")][::3]:
        stubbed = World(NAMES, played(b"", b"HTTP/1.1 302 Found\r\nLocation: " + url.encode() + b"\r\n"))
        monkeypatch.setattr("connector.blobs.web.Wire", lambda stubbed=stubbed: stubbed.wire)
        status, problem = asked(live, "http://public.example/")
        if status != 422 or set(stubbed.dialled) != {("93.184.215.14", 80)}:
            wrong[url] = (status, problem, stubbed.dialled)
    assert wrong == {}


def test_a_public_url_is_fetched_once_and_searched_for(live: Live, world: World) -> None:
    status, answer = asked(live, "http://public.example/a.png")
    assert status == 200
    assert world.dialled == [("93.184.215.14", 80)]
    inline, same = asked(live, base64.b64encode(PICTURE).decode())
    assert inline == 200
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in same["hits"]]


def test_a_url_is_never_tried_twice(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed = World(NAMES, played(b"", b"HTTP/1.1 503 Service Unavailable\r\n"))
    monkeypatch.setattr("connector.blobs.web.Wire", lambda: stubbed.wire)
    status, problem = asked(live, "http://public.example/a.png")
    assert (status, problem["code"]) == (422, "blob_unavailable")
    assert len(stubbed.dialled) == 1


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "p1.png", "./p1.png", "../shop/p1.png", "~/x.png", "file:///etc/passwd", "FILE:p1.png", "file://localhost/etc/passwd",
     "C:\\x.png", "\\\\host\\share\\x.png", "/proc/self/environ", "/dev/zero", "s3://bucket/x.png", "memory://x", "hf://datasets/x/y.png",
     "-", "a\0b", "x" * 100_000],
)  # fmt: skip
def test_no_path_is_read(live: Live, path: str) -> None:
    status, problem = asked(live, path)
    assert status in (422, 413)
    assert problem["code"] in ("blob_forbidden", "blob_not_found", "blob_unreadable")
    assert len(problem["detail"]) < 400


DATA_URLS = {
    "no comma": "data:image/png;base64",
    "empty": "data:,",
    "empty base64": "data:image/png;base64,",
    "no picture": "data:text/html,<script>alert(1)</script>",
    "svg": "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
    "foreign characters": "data:image/png;base64,iVBORw0KGgo*" + "A" * 60,
    "missing character": "data:image/png;base64," + base64.b64encode(PICTURE).decode()[:-3],
    "padding inside": "data:image/png;base64,aGVs=bG8=",
    "percent only": "data:image/png," + "%" * 5_000_000,
    "half escapes": "data:image/png,%8%9%",
    "a url within": "data:image/png;base64,http://127.0.0.1/",
    "half a picture": "data:image/png;base64," + base64.b64encode(PICTURE[: len(PICTURE) // 2]).decode(),
    "base64 of nothing known": base64.b64encode(b"x" * 100).decode(),
    "base64 of half a picture": base64.b64encode(PICTURE[:60]).decode(),
}


@pytest.mark.parametrize("name", DATA_URLS)
def test_bad_data_urls_are_refused(live: Live, world: World, name: str) -> None:
    status, problem = asked(live, DATA_URLS[name])
    assert (status, problem["status"]) == (422, 422)
    assert problem["code"].startswith("blob_")
    assert len(problem["detail"]) < 400
    assert world.dialled == []


def test_bombs_are_refused_by_their_header(live: Live) -> None:
    bombs = BOMBS | {
        "claims 60,000 x 60,000": png_claiming(60_000, 60_000),
        "progressive": progressive_with_scans(150),
    }
    wrong = {}
    before = peak_from_now_on()
    for name, bomb in bombs.items():
        inline = live.client.post("/search", json={"image": base64.b64encode(bomb).decode()})
        form = live.client.post("/search", files={"image": bomb})
        if not {inline.status_code, form.status_code} <= {413, 422}:
            wrong[name] = (inline.text[:200], form.text[:200])
    assert wrong == {}
    assert peak() - before < 512 * 2**20


def peak_from_now_on() -> int:
    """Forget, where the system lets us, what earlier tests of this process needed; the peak as it is then."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """The most memory this process has had, in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return (
        int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
        * 1024
    )


def test_every_good_format_is_searched_for(live: Live) -> None:
    for format_name in FORMATS:
        response = live.client.post(
            "/search", files={"image": ("x.bin", saved(corners(), format_name), "text/plain")}
        )
        assert response.status_code == 200, format_name


def test_the_policy_of_the_server_counts_not_the_shops(open_live: OpenLive, shop: Shop) -> None:
    from connector.blobs.policy import BlobPolicy

    live = open_live(blob_policy=BlobPolicy(allow_files=False, max_bytes=100, max_pixels=10_000))
    large = base64.b64encode(saved(corners(400, 400), "PNG")).decode()
    assert asked(live, large)[0] == 413
    assert asked(live, base64.b64encode(png_claiming(101, 100)).decode())[0] == 413
    assert live.client.get("/images/a1").status_code == 200


def test_slow_servers_of_strangers_do_not_keep_other_searches_waiting(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen pictures from elsewhere may be in hand; the next is put off, and words are still answered."""
    let_go = threading.Event()
    stubbed = World(NAMES, played(PICTURE))

    def slow(host: str, port: int, timeout: float) -> list[str]:
        let_go.wait(PATIENCE)
        return ["93.184.215.14"]

    from connector.blobs.web import Wire

    monkeypatch.setattr(
        "connector.blobs.web.Wire", lambda: Wire(resolve=slow, dial=stubbed.dial, clock=stubbed.clock)
    )
    outcomes: list[int] = []
    askers = [threading.Thread(target=lambda: outcomes.append(asked_anew(live))) for _ in range(17)]
    for asker in askers:
        asker.start()
    try:
        # One of the seventeen is turned away at once, whichever came last.
        until(lambda: asked_words(live) and outcomes)
        assert outcomes == [429]
    finally:
        let_go.set()
        for asker in askers:
            asker.join(PATIENCE)
    assert sorted(outcomes) == [200] * 16 + [429]


def asked_words(live: Live) -> bool:
    assert live.client.post("/search", json={"text": "mug"}).status_code == 200
    return True


def asked_anew(live: Live) -> int:
    sent = {"image": "http://public.example/a.png"}
    return ask(f"{live.url}/search", "POST", json=sent).status_code
