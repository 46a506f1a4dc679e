"""Filters in the browser: made from the schema, counted by the facets, and carried by the address."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.server.page.conftest import Site, Visit

pytestmark = pytest.mark.browser

FIELDS = [
    {"name": "brand", "kind": "str", "filter": "choice"},
    {"name": "size", "kind": "int", "filter": "choice"},
    {"name": "tags", "kind": "list[str]", "filter": "choice"},
    {"name": "price", "kind": "float", "filter": "range"},
    {"name": "since", "kind": "date", "filter": "range"},
    {"name": "in_stock", "kind": "bool", "filter": "flag"},
    {"name": "title", "kind": "text", "filter": "words"},
]


def group(visit: Visit, name: str) -> Locator:
    return visit.page.get_by_role("complementary").get_by_role("group", name=name)


def test_the_panel_has_a_filter_for_each_field_that_has_something_to_choose(visit: Visit) -> None:
    legends = visit.page.get_by_role("complementary").locator("legend")
    expect(legends).to_have_text(["brand", "category", "price", "in stock", "title"])


def test_by_a_choice_then_another_then_without(visit: Visit, site: Site) -> None:
    visit.search("something red")
    category = group(visit, "category")
    category.get_by_label("kitchen").check()
    visit.shows(site.found(text="something red", where="category = 'kitchen'"))
    category.get_by_label("animals").check()
    visit.shows(site.found(text="something red", where="category in ('kitchen', 'animals')"))
    expect(visit.page.get_by_role("group", name="What is searched for")).to_contain_text(
        "category: kitchen, animals"
    )
    visit.page.get_by_role("button", name="Remove “category: kitchen, animals”").click()
    visit.shows(site.found(text="something red"))
    expect(category.get_by_label("kitchen")).not_to_be_checked()


def test_counts_follow_the_other_filters_and_not_the_own_one(visit: Visit) -> None:
    visit.search("something red")
    kitchen, home = (group(visit, "category").locator("label", has_text=name) for name in ("kitchen", "home"))
    expect(kitchen).to_have_text("kitchen9")
    home_before = home.text_content() or ""
    kitchen.get_by_role("checkbox").check()
    expect(visit.page.get_by_role("status")).to_have_text("9 hits, nearest first")
    expect(kitchen).to_have_text("kitchen9")
    expect(home).to_have_text(home_before)
    counts = group(visit, "brand").locator(".number")
    expect(counts.first).not_to_have_text("0")
    assert sum(int(count) for count in counts.all_text_contents()) == 9


def test_by_a_range_in_numbers(visit: Visit, site: Site) -> None:
    visit.search("something red")
    price = group(visit, "price")
    price.get_by_label("Most price", exact=True).fill("20")
    visit.shows(site.found(text="something red", where="price <= 20"))
    price.get_by_label("Least price", exact=True).fill("10.5")
    visit.shows(site.found(text="something red", where="price >= 10.5 and price <= 20"))
    assert visit.page.url.endswith("where=price+%3E%3D+10.5+and+price+%3C%3D+20")


def test_by_a_range_with_its_handles(visit: Visit, site: Site) -> None:
    visit.search("something red")
    price = group(visit, "price")
    least, most = price.get_by_label("Least price, handle"), price.get_by_label("Most price, handle")
    most.fill("30")
    visit.shows(site.found(text="something red", where="price <= 30"))
    least.fill("200")
    expect(least).to_have_value("30")
    expect(price.get_by_label("Least price", exact=True)).to_have_value("30")
    least.press("Home")
    visit.shows(site.found(text="something red", where="price <= 30"))
    expect(price.get_by_label("Least price", exact=True)).to_have_value("")


def test_by_a_flag_and_by_words(visit: Visit, site: Site) -> None:
    visit.search("something red")
    group(visit, "in stock").get_by_label("No").check()
    visit.shows(site.found(text="something red", where="in_stock = false"))
    group(visit, "title").get_by_role("searchbox").fill("two")
    visit.shows(site.found(text="something red", where="in_stock = false and title matches 'two'"))
    visit.page.get_by_role("button", name="Clear all").click()
    visit.shows(site.found(text="something red"))
    expect(group(visit, "in stock").get_by_label("Any")).to_be_checked()


def test_filters_alone_show_what_passes_them_without_scores(visit: Visit) -> None:
    group(visit, "category").get_by_label("animals").check()
    expect(visit.page.get_by_role("status")).to_have_text("9 hits, in no particular order")
    expect(visit.cards).to_have_count(9)
    expect(visit.cards.locator(".score")).to_have_count(0)


def test_a_suggestion_searches_for_its_value_among_its_own(visit: Visit, site: Site) -> None:
    visit.page.get_by_role("button", name="animals", exact=True).click()
    visit.shows(site.found(text="animals", where="category in ('animals')"))
    expect(group(visit, "category").get_by_label("animals")).to_be_checked()


def test_a_condition_beyond_the_filters_is_kept_shown_and_narrowed(visit: Visit, site: Site) -> None:
    beyond = "price < 10 or category = 'home'"
    visit.open(f"/?text=red&where={beyond}")
    visit.shows(site.found(text="red", where=beyond))
    expect(visit.page.get_by_role("button", name=f"Remove “{beyond}”")).to_be_visible()
    group(visit, "in stock").get_by_label("Yes").check()
    visit.shows(site.found(text="red", where=f"({beyond}) and in_stock = true"))
    expect(group(visit, "in stock").get_by_label("Yes")).to_be_checked()
    visit.page.get_by_role("button", name=f"Remove “{beyond}”").click()
    visit.shows(site.found(text="red", where="in_stock = true"))


SHOWN = [
    "brand in ('Acme')",
    "brand in ('O''Neill', 'a\\\\b', 'x\\ny') and size in (1, 2)",
    "tags contains 'a'",
    "(tags contains 'a' or tags contains 'b') and price >= -1.5 and price <= 20",
    "since >= '2026-01-31' and in_stock = false and title matches 'red shoe'",
    "",
]
BEYOND = [
    "brand = 'a' or brand = 'b'", "not brand in ('a')", "price < 3", "price >= 1 and price >= 2", "colour = 'x'",
    "brand in ()", "brand in ('a'", "brand in ('a') and", "tags in ('a')", "in_stock = 'yes'", "brand is none",
    "(tags contains 'a' or brand = 'b')", "'a' = brand", "price >= 3 price <= 4", "brand in ('a') #",
]  # fmt: skip


def test_what_filters_write_they_read_again(visit: Visit) -> None:
    code = """async ([texts, fields]) => {
        const { read, write } = await import("/conditions.js");
        return texts.map((text) => write(read(text, fields), fields));
    }"""
    assert visit.page.evaluate(code, [SHOWN, FIELDS]) == SHOWN


def test_what_is_beyond_filters_goes_in_front_of_what_is_not(visit: Visit) -> None:
    code = """async ([texts, fields]) => {
        const { cut, write } = await import("/conditions.js");
        return texts.map((text) => {
            const { tests, beyond } = cut(text, fields);
            return [beyond, tests.size, write(tests, fields, beyond)];
        });
    }"""
    texts = {
        "(price < 3 or brand = ')') and in_stock = true": ["price < 3 or brand = ')'", 1],
        "(price < 3) or (price > 4) and in_stock = true": [
            "(price < 3) or (price > 4) and in_stock = true",
            0,
        ],
        "(price < 3) and price < 4": ["(price < 3) and price < 4", 0],
        'brand != "a" and': ['brand != "a" and', 0],
    }
    found = visit.page.evaluate(code, [list(texts), FIELDS])
    assert found == [[*parts, text] for text, parts in texts.items()]


def test_what_filters_cannot_show_they_leave_alone(visit: Visit) -> None:
    code = """async ([texts, fields]) => {
        const { read } = await import("/conditions.js");
        return texts.filter((text) => read(text, fields) !== null);
    }"""
    assert visit.page.evaluate(code, [BEYOND, FIELDS]) == []
