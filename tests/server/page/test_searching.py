"""Finding in the browser: by words, by a dropped, pasted or picked picture, by both, by likeness, and page after page."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Request, Route, expect

from tests.server.page.conftest import OpenSite, OpenVisit, Site, Visit

pytestmark = pytest.mark.browser


def in_text(data: bytes) -> str:
    """A picture's bytes, as the API takes them in JSON."""
    return base64.b64encode(data).decode("ascii")


def test_by_words(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    visit.shows(site.found(text="red mug"))
    expect(visit.cards.first.get_by_role("heading")).to_contain_text("mug")
    expect(visit.page.get_by_role("status")).to_have_text("24 of 72 records, nearest first")
    expect(visit.page).to_have_title("red mug · product")


def test_while_typing_without_enter(visit: Visit, site: Site) -> None:
    visit.words.press_sequentially("blue boat", delay=5)
    visit.shows(site.found(text="blue boat"))


def test_every_hit_shows_its_own_picture(visit: Visit) -> None:
    visit.search("rocket")
    expect(visit.cards).to_have_count(24)
    first = visit.cards.first
    expect(first.locator(".picture.there img")).to_be_visible()
    place = re.compile(f"^/images/{first.get_attribute('data-id')}\\?")
    expect(first.locator("img")).to_have_attribute("src", place)


def test_by_a_dropped_picture(visit: Visit, site: Site) -> None:
    data = site.picture("p0005").read_bytes()
    visit.drop(data)
    visit.shows(site.found(image=in_text(data)))
    expect(visit.cards.first).to_have_attribute("data-id", "p0005")
    expect(visit.page.locator("#asked img")).to_be_visible()


def test_by_a_pasted_picture(visit: Visit, site: Site) -> None:
    png = io.BytesIO()
    Image.open(site.picture("p0007")).save(png, "PNG")
    visit.paste(png.getvalue())
    visit.shows(site.found(image=in_text(png.getvalue())))
    expect(visit.cards.first).to_have_attribute("data-id", "p0007")


def test_pasted_words_go_into_the_search_box(visit: Visit) -> None:
    visit.words.focus()
    visit.page.evaluate(
        "navigator.clipboard === undefined || document.execCommand('insertText', false, 'green hat')"
    )
    expect(visit.words).to_have_value("green hat")
    expect(visit.page.locator("#asked")).to_be_hidden()


def test_by_a_picked_picture_and_without_it_again(visit: Visit, site: Site) -> None:
    visit.page.get_by_label("Picture to search by").set_input_files(site.picture("p0009"))
    expect(visit.cards.first).to_have_attribute("data-id", "p0009")
    visit.page.get_by_role("button", name="Remove “Your picture”").click()
    expect(visit.page.get_by_role("heading", name="Find it by words")).to_be_visible()


def test_a_large_picture_is_made_smaller_before_it_travels(visit: Visit, site: Site) -> None:
    large = io.BytesIO()
    Image.open(site.picture("p0005")).resize((1100, 1100)).save(large, "BMP")
    with visit.page.expect_request("**/search") as sent:
        visit.drop(large.getvalue(), "large.bmp", "image/bmp")
    expect(visit.cards.first).to_have_attribute("data-id", "p0005")
    assert len(large.getvalue()) > 3_000_000 > 300_000 > int(sent.value.all_headers()["content-length"])


def test_by_both_with_the_slider_between_them(visit: Visit, site: Site) -> None:
    data = site.picture("p0005").read_bytes()
    slider = visit.page.get_by_role("slider", name="How much the picture counts")
    visit.search("blue")
    expect(visit.cards).to_have_count(24)
    expect(slider).to_be_hidden()
    visit.drop(data)
    visit.shows(site.found(text="blue", image=in_text(data), weights={"image": 0.5, "text": 0.5}))
    for share in (90, 10):
        slider.fill(str(share))
        weights = {"image": share / 100, "text": 1 - share / 100}
        visit.shows(site.found(text="blue", image=in_text(data), weights=weights))
        expect(visit.page.get_by_text(f"Picture {share} %")).to_be_visible()
    assert "weights=0.1%2C0.9" in visit.page.url


def test_more_like_this(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    id = site.found(text="red mug")[2]
    visit.card(id).get_by_role("button", name="More like this").click()
    visit.shows(site.found(like=id))
    expect(visit.card(id)).to_have_count(0)
    expect(visit.page.locator("#asked")).to_contain_text("Like ")
    expect(visit.words).to_have_value("")


def test_not_like_this(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    first, second = site.found(text="red mug")[:2]
    visit.card(first).get_by_role("button", name="Not like this").click()
    visit.shows(site.found(text="red mug", unlike=[first]))
    visit.card(second).get_by_role("button", name="Not like this").click()
    visit.shows(site.found(text="red mug", unlike=[first, second]))
    expect(visit.card(first)).to_have_count(0)
    visit.page.get_by_role("button", name="Remove “Not like").first.click()
    visit.shows(site.found(text="red mug", unlike=[second]))


def test_the_scores_of_the_parts_are_shown_when_asked_for(visit: Visit) -> None:
    visit.search("red mug")
    score, parts = visit.cards.first.locator(".score"), visit.cards.first.locator(".parts")
    expect(parts).to_be_hidden()
    score.click()
    expect(parts).to_be_visible()
    expect(score).to_have_attribute("aria-expanded", "true")
    for name in ("Fused", "Picture", "Words"):
        expect(parts.get_by_text(name)).to_be_visible()
    assert len(parts.locator("dd").all_text_contents()) == 3
    score.click()
    expect(parts).to_be_hidden()


def test_a_hit_opens_with_all_its_values(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    visit.cards.first.get_by_role("button", name="Open ").click()
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text("brand")
    expect(dialog).to_contain_text(site.found(text="red mug")[0])
    expect(dialog.locator(".picture.there img")).to_be_visible()
    dialog.get_by_role("button", name="More like this").click()
    expect(dialog).to_be_hidden()
    visit.shows(site.found(like=site.found(text="red mug")[0]))


def test_show_more_until_there_is_no_more(visit: Visit, site: Site) -> None:
    visit.search("something to wear")
    more = visit.page.get_by_role("button", name="Show more")
    for shown in (24, 48):
        expect(visit.cards).to_have_count(shown)
        more.click()
    visit.shows(site.found(text="something to wear", limit=72))
    expect(more).to_be_hidden()
    expect(visit.page.get_by_role("status")).to_have_text("72 hits, nearest first")
    expect(visit.cards.nth(48)).to_be_focused()


def test_an_answer_that_comes_late_does_not_overwrite_a_newer_one(visit: Visit, site: Site) -> None:
    def slow(request: Request) -> bool:
        return "slow car" in (request.post_data or "")

    def hold(route: Route) -> None:
        if not slow(route.request):  # a slow one is never answered, so only a newer one can end it
            route.continue_()

    visit.page.route("**/search", hold)
    with visit.page.expect_request(slow):
        visit.search("slow car")
    with visit.page.expect_event("requestfailed", slow) as given_up:
        visit.search("quick car")
    assert "ABORTED" in (given_up.value.failure or "")
    visit.shows(site.found(text="quick car"))


def test_markup_in_a_record_is_shown_as_text(visit: Visit) -> None:
    bad = "<img src=x onerror=alert(1)><b>mug</b>"

    def spoil(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        found["hits"][0]["record"].update(title=bad, brand=bad, url="javascript:alert(1)")
        route.fulfill(response=answer, json=found)

    visit.page.route("**/search", spoil)
    visit.search("red mug")
    expect(visit.cards.first.get_by_role("heading")).to_have_text(bad)
    visit.cards.first.get_by_role("button", name="Open ").click()
    expect(visit.page.get_by_role("dialog").get_by_role("heading")).to_have_text(bad)
    expect(visit.page.get_by_role("dialog").get_by_role("link")).to_have_count(0)


def test_records_of_several_schemas(open_visit: OpenVisit, open_site: OpenSite) -> None:
    with open_site(products=8, photos=6) as site:
        visit = open_visit(site)
        visit.open("/?text=mug")
        expect(visit.cards).to_have_count(14)
        expect(visit.page.get_by_role("group", name="price")).to_have_count(0)
        visit.page.get_by_label("Records of").select_option("Product")
        expect(visit.cards).to_have_count(8)
        expect(visit.page.get_by_role("group", name="price")).to_be_visible()
        visit.page.get_by_label("Records of").select_option("Photo")
        visit.shows(site.found(text="mug", schema="Photo"))
        expect(visit.cards.first.locator(".picture.there img")).to_be_visible()
        expect(visit.cards).to_have_count(6)
        visit.page.get_by_label("Records of").select_option("every kind")
        expect(visit.cards).to_have_count(14)
