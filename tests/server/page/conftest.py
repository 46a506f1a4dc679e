"""The real server over the demo catalogue, and a browser in front of it that is watched for what it must not do."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    JSHandle,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as NeverShown

from connector import Connector, ImageSpace
from connector.demo.catalogue import write_catalogue
from connector.server.app import create_app
from connector.server.config import ServerConfig
from schemas.photo import Photo
from schemas.product import Product
from tests.server.conftest import ask, running

PRODUCTS = 72  # three of every thing that the demo draws
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 60_000  # milliseconds until an expectation fails; nothing here waits that long when all is well

_SHOWN = "(ids) => [...document.querySelectorAll('#hits article')].map((card) => card.dataset.id).join() === ids.join()"
_FETCHED = "Failed to load resource"  # how a browser tells of every answer from 400 on


@dataclasses.dataclass(frozen=True)
class Site:
    """A server over the catalogue."""

    url: str
    folder: Path

    def picture(self, sku: str) -> Path:
        """The file of a product's picture."""
        return self.folder / "pictures" / f"{sku}.jpg"

    def found(self, **query: Any) -> list[str]:
        """Ids of the hits that the API has for a query, in their order."""
        answer = ask(f"{self.url}/search", "POST", json={"limit": 24, **query})
        assert answer.status_code == 200, answer.text
        return [hit["id"] for hit in answer.json()["hits"]]


@dataclasses.dataclass
class Visit:
    """A tab on the page, and what the tests do in it again and again."""

    page: Page
    site: Site
    troubles: list[str] = dataclasses.field(default_factory=list)
    expected: str = ""  # a pattern of the console's errors that a test causes on purpose

    def open(self, address: str = "/") -> None:
        """Go to an address of the site."""
        self.page.goto(f"{self.site.url}{address}")

    def search(self, words: str) -> None:
        """Type words and press Enter."""
        self.words.fill(words)
        self.words.press("Enter")

    @property
    def words(self) -> Locator:
        """The search box."""
        return self.page.get_by_role("searchbox", name="Words to search for")

    @property
    def cards(self) -> Locator:
        """The hits."""
        return self.page.get_by_role("list", name="Hits").get_by_role("article")

    def card(self, id: str) -> Locator:
        """The hit with this id."""
        return self.page.locator(f"#hits article[data-id='{id}']")

    def shows(self, ids: list[str]) -> None:
        """Wait until exactly these hits are shown, in this order."""
        try:
            self.page.wait_for_function(_SHOWN, arg=ids)
        except NeverShown as error:
            error.add_note(
                f"shown: {[card.get_attribute('data-id') for card in self.cards.all()]}\nasked: {ids}"
            )
            raise

    def transfer(self, data: bytes, name: str, kind: str) -> JSHandle:
        """A file as a browser hands it over, dropped or pasted."""
        return self.page.evaluate_handle(
            """([name, kind, text]) => {
                const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], name, { type: kind }));
                return transfer;
            }""",
            [name, kind, base64.b64encode(data).decode("ascii")],
        )

    def drop(self, data: bytes, name: str = "picture.jpg", kind: str = "image/jpeg") -> None:
        """Drag a file over the page and drop it."""
        transfer = {"dataTransfer": self.transfer(data, name, kind)}
        self.page.dispatch_event("main", "dragenter", transfer)
        expect(self.page.get_by_text("Drop the picture to search by it")).to_be_visible()
        self.page.dispatch_event("main", "drop", transfer)
        expect(self.page.get_by_text("Drop the picture to search by it")).to_be_hidden()

    def paste(self, data: bytes, name: str = "image.png", kind: str = "image/png") -> None:
        """Paste a file."""
        self.page.evaluate(
            "(data) => document.body.dispatchEvent("
            "new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))",
            self.transfer(data, name, kind),
        )


OpenSite = Callable[..., contextlib.AbstractContextManager[Site]]
OpenVisit = Callable[..., Visit]


@pytest.fixture(scope="package")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> OpenSite:
    """Serve the catalogue's first products: `with open_site(products=24, read_keys=("…",)) as site:`.

    With `photos` beside them, so many of the same pictures are records of a second schema.
    """
    folder = tmp_path_factory.mktemp("catalogue")
    write_catalogue(folder, PRODUCTS)

    @contextlib.contextmanager
    def opened(products: int = PRODUCTS, photos: int = 0, port: int = 0, **settings: Any) -> Iterator[Site]:
        product, photo = Product.photo + Product.title, Photo.image + Photo.description
        space: Any = ImageSpace([product, photo] if photos else product, model="demo")
        feed = folder / f"first-{products}.jsonl"
        feed.write_text("\n".join((folder / "feed.jsonl").read_text().splitlines()[:products]))
        shop = Connector(space, ":memory:")
        assert shop.ingest(feed, schema=Product).rejected == 0
        if photos:
            pictures = [{"id": f"photo {n}", "image": f"pictures/p{n:04}.jpg"} for n in range(1, photos + 1)]
            assert shop.ingest(pictures, schema=Photo, base=folder).rejected == 0
        config = ServerConfig(**settings)
        with running(create_app(shop, config), config, port) as url:
            yield Site(url, folder)

    return opened


@pytest.fixture(scope="package")
def site(open_site: OpenSite) -> Iterator[Site]:
    """The server that most tests visit."""
    with open_site() as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window; all tests here share it."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_visit(browser: Browser) -> Iterator[OpenVisit]:
    """Open tabs: `open_visit(site, viewport=…)`; each has its own storage, and at the end nothing to be ashamed of."""
    expect.set_options(timeout=PATIENCE)
    with contextlib.ExitStack() as stack:

        def opened(site: Site, **settings: Any) -> Visit:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
            context.set_default_timeout(PATIENCE)
            stack.callback(context.close)
            visit = Visit(context.new_page(), site)
            _watch(visit)
            stack.callback(_nothing_to_be_ashamed_of, visit)
            return visit

        yield opened


@pytest.fixture
def visit(open_visit: OpenVisit, site: Site) -> Visit:
    """A tab in front of the site, on the page's empty state."""
    visit = open_visit(site)
    visit.open()
    expect(visit.page.get_by_role("heading", level=2)).to_be_visible()
    return visit


def _watch(visit: Visit) -> None:
    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.troubles.append(f"{message.text} at {message.location.get('url')}")

    def request(request: Request) -> None:
        if not request.url.startswith((visit.site.url, "blob:", "data:")):
            visit.troubles.append(f"asked elsewhere: {request.url}")

    visit.page.on("console", console)
    visit.page.on("pageerror", lambda error: visit.troubles.append(f"thrown: {error}"))
    visit.page.on("request", request)


def _nothing_to_be_ashamed_of(visit: Visit) -> None:
    expected = [
        trouble for trouble in visit.troubles if visit.expected and re.search(visit.expected, trouble)
    ]
    assert [trouble for trouble in visit.troubles if trouble not in expected] == []
    assert all(trouble.startswith(_FETCHED) for trouble in expected)
