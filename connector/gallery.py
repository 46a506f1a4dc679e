"""A page of hits with their pictures: one self-contained HTML file, no script, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from connector.errors import ConnectorError
from connector.hit import record_object
from connector.schema.schema import definition_of

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.hit import Hit

SIDE = 320  # pixels of a picture's longer side on the page

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #667085; --card: #fff; --page: #f4f5f7; --line: #e3e6eb; --bar: #3b6cf6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaee; --soft: #98a2b3; --card: #1c2129; --page: #12151a; --line: #2c333d; --bar: #7c9dff; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem clamp(1rem, 4vw, 3rem); background: var(--page); color: var(--ink);
  font: 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { display: flex; gap: 1rem; align-items: center; margin-bottom: 1.5rem; }
header img { width: 72px; height: 72px; object-fit: cover; border-radius: 10px; border: 1px solid var(--line); }
h1 { font-size: 1.35rem; margin: 0; font-weight: 650; }
header p { margin: .15rem 0 0; color: var(--soft); }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); }
li { background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; display: flex; flex-direction: column; }
.picture { aspect-ratio: 1; width: 100%; object-fit: contain; background: #fff; display: block; }
.none { display: grid; place-items: center; color: #8a93a3; font-size: .85rem; background: var(--page); }
.text { padding: .75rem .9rem .9rem; }
.words { font-weight: 600; overflow-wrap: anywhere; }
.rest { color: var(--soft); font-size: .85rem; margin-top: .25rem; overflow-wrap: anywhere; }
.score { display: flex; align-items: center; gap: .5rem; margin-top: .6rem; font-size: .8rem; color: var(--soft); font-variant-numeric: tabular-nums; }
meter { flex: 1; height: .5rem; accent-color: var(--bar); }
"""


def gallery(shop: Connector[Any], hits: Sequence[Hit[Any]], text: str | None, image: str | None) -> str:
    """The page for one search: the query on top, then a card per hit with its picture, words, values and score."""
    cards = "\n".join(_card(shop, hit) for hit in hits) or "<li class='text'>Nothing was found.</li>"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(text or 'Search by picture')}</title><style>{_STYLE}</style></head>\n"
        f"<body>{_header(shop, text, image, len(hits))}\n<ol>\n{cards}\n</ol>\n</body></html>\n"
    )


def _header(shop: Connector[Any], text: str | None, image: str | None, number: int) -> str:
    title = f"“{html.escape(text)}”" if text else "Like this picture"
    picture = ""
    if image is not None:
        try:
            picture = (
                f"<img alt='the picture searched for' src='{_data_url(shop.thumbnail_of(image, side=144))}'>"
            )
        except (
            ConnectorError
        ):  # the search itself worked, so this is a passing trouble; the page does without
            picture = ""
    return f"<header>{picture}<div><h1>{title}</h1><p>{number} hits in {html.escape(shop.collection)}</p></div></header>"


def _card(shop: Connector[Any], hit: Hit[Any]) -> str:
    definition = definition_of(type(hit.record))
    values = record_object(hit.record)
    words = (
        " · ".join(str(values[name]) for name in definition.texts if values[name])
        or PurePath(str(hit.id)).name
    )
    rest = " · ".join(f"{name} {values[name]}" for name in definition.fields if values[name] is not None)
    score = max(0.0, min(1.0, hit.score))
    return (
        f"<li>{_picture(shop, hit, words)}<div class='text'><div class='words'>{html.escape(words)}</div>"
        f"<div class='rest'>{html.escape(rest)}</div>"
        f"<div class='score'><meter min='0' max='1' value='{score:.3f}'></meter>{hit.score:.3f}{_parts(hit)}</div></div></li>"
    )


def _parts(hit: Hit[Any]) -> str:
    shown = [
        f"{name} {value:.2f}"
        for name, value in (("picture", hit.parts.image), ("words", hit.parts.text))
        if value is not None
    ]
    return f" ({', '.join(shown)})" if shown else ""


def _picture(shop: Connector[Any], hit: Hit[Any], words: str) -> str:
    try:
        data = shop.thumbnail(hit.id, schema=type(hit.record), side=SIDE)
    except ConnectorError:  # moved, deleted or out of reach since it was ingested; its vectors still find it
        data = None
    if data is None:
        return "<div class='picture none'>picture not at hand</div>"
    return (
        f"<img class='picture' loading='lazy' alt='{html.escape(words, quote=True)}' src='{_data_url(data)}'>"
    )


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
