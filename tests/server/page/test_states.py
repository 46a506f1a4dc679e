"""What the page says when there is nothing, when something is wrong, and when it is left and come back to."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest
from playwright.sync_api import Route, expect

from tests.server.page.conftest import OpenSite, OpenVisit, Site, Visit

pytestmark = pytest.mark.browser


def test_the_start_says_what_there_is_and_where_to_begin(visit: Visit) -> None:
    welcome = visit.page.locator("#welcome")
    expect(welcome).to_contain_text("72 records here")
    expect(welcome.get_by_role("button", name="clothing", exact=True)).to_be_visible()
    expect(welcome.get_by_role("button", name="More like")).to_have_count(8)
    welcome.get_by_role("button", name="More like").first.click()
    expect(visit.cards).to_have_count(24)
    expect(welcome).to_be_hidden()


def test_skeletons_until_the_first_hits_come(open_visit: OpenVisit, site: Site) -> None:
    visit = open_visit(site)
    visit.page.route("**/search", lambda route: None)  # never answered
    visit.open("/?text=red")
    expect(visit.page.locator(".skeleton")).to_have_count(12)
    expect(visit.page.get_by_role("list", name="Hits")).to_have_attribute("aria-busy", "true")
    visit.page.unroute("**/search")
    visit.search("red")
    visit.shows(site.found(text="red"))
    expect(visit.page.locator(".skeleton")).to_have_count(0)


def test_nothing_found_offers_ways_out(visit: Visit, site: Site) -> None:
    visit.open("/?text=red&where=price <= 1")
    expect(visit.page.get_by_role("heading", name="Nothing was found")).to_be_visible()
    visit.page.get_by_role("button", name="Remove the filters").click()
    visit.shows(site.found(text="red"))


def test_a_broken_picture_is_named_as_such(visit: Visit, site: Site) -> None:
    visit.expected = "422"
    data = site.picture("p0003").read_bytes()
    visit.drop(data[: len(data) // 4], "broken.jpg")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("This picture cannot be used")
    expect(alert).to_contain_text("damaged or cut short")
    expect(visit.cards).to_have_count(0)
    visit.page.get_by_role("button", name="Remove the picture").click()
    expect(alert).to_have_count(0)
    expect(visit.page.get_by_role("heading", name="Find it by words")).to_be_visible()


def test_a_file_that_is_no_picture_is_not_even_sent(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    expect(visit.cards).to_have_count(24)
    visit.drop(b"%PDF-1.7", "offer.pdf", "application/pdf")
    expect(visit.page.get_by_role("alert")).to_contain_text("“offer.pdf” is no picture.")
    visit.page.get_by_role("button", name="Never mind").click()
    visit.shows(site.found(text="red mug"))


def test_a_condition_that_cannot_be_read_is_explained(visit: Visit, site: Site) -> None:
    visit.expected = "422"
    visit.open("/?text=red&where=prise < 3")
    expect(visit.page.get_by_role("alert")).to_contain_text("Did you mean")
    visit.page.get_by_role("button", name="Remove the filters").click()
    visit.shows(site.found(text="red"))


def test_a_record_that_is_gone_is_explained(visit: Visit) -> None:
    visit.expected = "404|422"
    visit.open("/?like=nobody")
    expect(visit.page.get_by_role("alert")).to_contain_text("nobody")
    visit.page.get_by_role("button", name="Start again").click()
    expect(visit.page.get_by_role("heading", name="Find it by words")).to_be_visible()


def test_a_dead_backend_is_told_kindly_and_recovers_on_demand(
    open_visit: OpenVisit, open_site: OpenSite
) -> None:
    with contextlib.ExitStack() as server, socket.socket() as ours:
        # A port that is bound but not listened on is given to nobody else, and refuses whoever calls.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind(("127.0.0.1", 0))
        port = ours.getsockname()[1]
        site = server.enter_context(open_site(products=24, port=port))
        visit = open_visit(site)
        visit.expected = "ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET"
        visit.open("/?text=red")
        expect(visit.cards).to_have_count(24)
        server.close()
        visit.search("blue boat")
        expect(visit.page.get_by_role("alert")).to_contain_text("No answer from the server")
        again = visit.page.get_by_role("button", name="Try again")
        again.click()
        expect(visit.page.get_by_role("alert")).to_contain_text("No answer from the server")
        site = server.enter_context(open_site(products=24, port=port))
        again.click()
        visit.shows(site.found(text="blue boat"))
        expect(visit.page.get_by_role("alert")).to_have_count(0)


def test_a_backend_that_is_dead_from_the_start(open_visit: OpenVisit, site: Site) -> None:
    visit = open_visit(site)
    visit.expected = "ERR_FAILED"
    visit.page.route("**/schema", lambda route: route.abort())
    visit.open("/?text=red")
    expect(visit.page.get_by_role("alert")).to_contain_text("No answer from the server")
    visit.page.unroute("**/schema")
    visit.page.get_by_role("button", name="Try again").click()
    visit.shows(site.found(text="red"))


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (429, {"Retry-After": "7"}, "It asks to wait 7 s."),
        (503, {}, "Too many at once"),
        (500, {"X-Request-ID": "abc-1"}, "Its log knows it as abc-1."),
        (502, {}, "The server does not answer"),
    ],
)
def test_other_troubles_say_what_to_do(
    visit: Visit, site: Site, status: int, headers: dict[str, str], told: str
) -> None:
    visit.expected = str(status)
    problem = {"detail": "Too many at once", "code": "too_many", "status": status}
    visit.page.route("**/search", lambda route: route.fulfill(status=status, headers=headers, json=problem))
    visit.search("red mug")
    expect(visit.page.get_by_role("alert")).to_contain_text(told)
    visit.page.unroute("**/search")
    visit.page.get_by_role("button", name="Try again").click()
    visit.shows(site.found(text="red mug"))


def test_a_locked_collection_asks_for_its_key(open_visit: OpenVisit, open_site: OpenSite) -> None:
    with open_site(products=8, read_keys=("opens-the-door-123456",)) as site:
        visit = open_visit(site)
        visit.expected = "401"
        visit.open("/?text=red")
        dialog = visit.page.get_by_role("dialog", name="This collection needs a key")
        expect(dialog).to_be_visible()
        dialog.get_by_label("API key").fill("does-not-open-it-1234")
        dialog.get_by_role("button", name="Open").click()
        expect(dialog).to_contain_text("does not open it")
        dialog.get_by_label("API key").fill("opens-the-door-123456")
        dialog.get_by_label("API key").press("Enter")
        expect(visit.cards).to_have_count(8)
        expect(dialog).to_be_hidden()
        # An image element sends no key, so pictures come by fetch and are shown from memory.
        expect(visit.cards.first.locator(".picture.there img")).to_be_visible()
        expect(visit.cards.first.locator("img")).to_have_attribute("src", re.compile("^blob:"))
        visit.page.reload()
        expect(visit.cards).to_have_count(8)
        assert "opens-the-door" not in visit.page.url
        assert visit.page.evaluate("localStorage.length") == 0


def test_an_address_opened_afresh_gives_the_same_hits(
    visit: Visit, open_visit: OpenVisit, site: Site
) -> None:
    visit.search("red mug")
    liked, unliked = site.found(text="red mug")[:2]
    visit.card(liked).get_by_role("button", name="More like this").click()
    expect(visit.card(liked)).to_have_count(0)
    visit.card(unliked).get_by_role("button", name="Not like this").click()
    expect(visit.card(unliked)).to_have_count(0)
    visit.search("blue")
    visit.page.get_by_role("slider", name="How much the picture counts").fill("30")
    visit.page.get_by_label("Most price", exact=True).fill("60")
    weights = {"image": 0.3, "text": 0.7}
    expected = site.found(text="blue", like=liked, unlike=[unliked], weights=weights, where="price <= 60")
    visit.shows(expected)
    fresh = open_visit(site)
    fresh.page.goto(visit.page.url)
    fresh.shows(expected)
    expect(fresh.words).to_have_value("blue")
    expect(fresh.page.get_by_text("Picture 30 %")).to_be_visible()
    expect(fresh.page.get_by_label("Most price", exact=True)).to_have_value("60")
    for token in ("#asked", "#chips"):
        expect(fresh.page.locator(token)).to_have_text(visit.page.locator(token).text_content() or "")


def test_back_and_forward(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    visit.shows(site.found(text="red mug"))
    visit.drop(site.picture("p0005").read_bytes())
    expect(visit.page.locator("#asked img")).to_be_visible()
    visit.page.get_by_role("slider", name="How much the picture counts").fill("100")
    expect(visit.page).to_have_url(re.compile("weights="))
    expect(visit.cards.first).to_have_attribute("data-id", "p0005")
    visit.card("p0005").get_by_role("button", name="More like this").click()
    visit.shows(site.found(like="p0005"))
    visit.page.go_back()
    expect(visit.cards.first).to_have_attribute("data-id", "p0005")
    expect(visit.page.locator("#asked")).to_contain_text("Your picture")
    visit.page.go_back()
    visit.page.go_back()
    visit.shows(site.found(text="red mug"))
    expect(visit.page.locator("#asked")).to_be_hidden()
    visit.page.go_back()
    expect(visit.page.get_by_role("heading", name="Find it by words")).to_be_visible()
    visit.page.go_forward()
    visit.shows(site.found(text="red mug"))
    expect(visit.words).to_have_value("red mug")


def test_typing_one_query_is_one_step_back(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    visit.shows(site.found(text="red mug"))
    for words in ("blue", "blue boat"):
        visit.words.fill(words)
        visit.shows(site.found(text=words))
    visit.page.go_back()
    visit.shows(site.found(text="red mug"))


def test_a_space_without_words_is_searched_by_pictures_only(open_visit: OpenVisit, site: Site) -> None:
    visit = open_visit(site)

    def wordless(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "text": False})

    visit.page.route("**/schema", wordless)
    visit.open()
    expect(visit.page.get_by_role("heading", name="Find it by a picture")).to_be_visible()
    expect(visit.words).to_be_disabled()
    visit.drop(site.picture("p0005").read_bytes())
    expect(visit.cards.first).to_have_attribute("data-id", "p0005")
