"""How the page looks and is walked: by keys alone, on a phone, light and dark, with little motion, and by its roles."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.server.page.conftest import OpenVisit, Site, Visit

pytestmark = pytest.mark.browser

# What is written on what, and the least contrast that WCAG AA asks for.
PAIRS = [
    ("ink", "page", 4.5), ("ink", "card", 4.5), ("soft", "page", 4.5), ("soft", "card", 4.5), ("soft", "well", 4.5),
    ("accent", "card", 4.5), ("accent", "page", 4.5), ("accent", "tint", 4.5), ("ink", "tint", 4.5),
    ("on-accent", "accent", 4.5), ("edge", "card", 3.0), ("edge", "page", 3.0), ("bad", "card", 3.0),
]  # fmt: skip
CONTRASTS = """(pairs) => {
    const probe = document.body.appendChild(document.createElement("i"));
    const light = (name) => {
        probe.style.color = `var(--${name})`;
        const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
        const [red, green, blue] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = pairs.map(([one, other]) => [light(one), light(other)]);
    probe.remove();
    return found.map(([one, other]) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
}"""


def background(visit: Visit) -> str:
    return str(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_by_keys_alone(visit: Visit, site: Site) -> None:
    keys, cards = visit.page.keyboard, visit.cards
    keys.press("/")
    expect(visit.words).to_be_focused()
    keys.type("red mug")
    keys.press("Enter")
    expected = site.found(text="red mug")
    visit.shows(expected)
    keys.press("ArrowDown")
    expect(cards.nth(0)).to_be_focused()
    for key, place in [
        ("ArrowRight", 1),
        ("ArrowDown", 5),
        ("ArrowLeft", 4),
        ("ArrowUp", 0),
        ("End", 23),
        ("Home", 0),
    ]:
        keys.press(key)
        expect(cards.nth(place)).to_be_focused()
    keys.press("s")
    expect(cards.nth(0).locator(".parts")).to_be_visible()
    keys.press("Enter")
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    expect(cards.nth(0)).to_be_focused()
    keys.press("ArrowRight")
    keys.press("n")
    visit.shows(site.found(text="red mug", unlike=[expected[1]]))
    expect(cards.nth(1)).to_be_focused()
    keys.press("m")
    visit.shows(site.found(like=site.found(text="red mug", unlike=[expected[1]])[1]))
    expect(cards.first).to_be_visible()
    keys.press("Escape")
    expect(visit.words).to_be_focused()
    keys.type("blue")
    keys.press("Escape")
    expect(visit.words).to_have_value("")


def test_tab_reaches_one_hit_with_its_buttons(visit: Visit) -> None:
    visit.search("red mug")
    expect(visit.cards).to_have_count(24)
    expect(visit.page.locator("#hits article[tabindex='0']")).to_have_count(1)
    expect(visit.page.locator("#hits .acts button[tabindex='0']")).to_have_count(2)
    visit.cards.first.focus()
    visit.page.keyboard.press("Tab")
    expect(visit.cards.first.locator(".score")).to_be_focused()
    for name in ("More like this", "Not like this"):
        visit.page.keyboard.press("Tab")
        expect(visit.cards.first.get_by_role("button", name=name)).to_be_focused()


def test_the_question_mark_lists_the_keys(visit: Visit) -> None:
    visit.page.keyboard.press("?")
    dialog = visit.page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("More like this hit")
    visit.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    visit.words.fill("what?")
    expect(dialog).to_be_hidden()


def test_letters_with_control_are_the_browsers_own(visit: Visit, site: Site) -> None:
    visit.search("red mug")
    visit.shows(site.found(text="red mug"))
    visit.cards.first.focus()
    visit.page.keyboard.press("Control+m")
    visit.page.keyboard.press("Control+s")
    expect(visit.cards.first.locator(".parts")).to_be_hidden()
    visit.shows(site.found(text="red mug"))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_never_scrolls_sideways(open_visit: OpenVisit, site: Site, width: int) -> None:
    visit = open_visit(site, viewport={"width": width, "height": 720}, has_touch=True, is_mobile=True)
    fits = "() => document.documentElement.scrollWidth <= innerWidth && innerWidth === screen.width"
    visit.open()
    expect(visit.page.get_by_role("button", name="More like").first).to_be_visible()
    assert visit.page.evaluate(fits)
    visit.open(
        "/?text=red mug&like=p0003&unlike=p0009&where=price <= 100 and category in ('kitchen', 'animals', 'clothing', 'home')"
    )
    expect(visit.cards.first).to_be_visible()
    expect(visit.page.get_by_role("slider", name="How much the picture counts")).to_be_visible()
    assert visit.page.evaluate(fits)
    unfold = visit.page.get_by_role("button", name="Filters 2")
    expect(visit.page.get_by_role("group", name="brand")).to_be_hidden()
    unfold.tap()
    expect(unfold).to_have_attribute("aria-expanded", "true")
    expect(visit.page.get_by_role("group", name="brand")).to_be_visible()
    assert visit.page.evaluate(fits)
    visit.cards.first.locator(".score").tap()
    visit.cards.first.get_by_role("button", name="Open ").tap()
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    assert visit.page.evaluate(fits)


def test_light_and_dark_follow_the_system_until_the_visitor_chooses(
    open_visit: OpenVisit, site: Site
) -> None:
    light, dark = open_visit(site), open_visit(site, color_scheme="dark")
    light.open()
    dark.open()
    assert background(light) != background(dark)
    button = dark.page.get_by_role("button", name="Dark colours")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert background(dark) == background(light)
    dark.page.reload()
    assert background(dark) == background(light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(open_visit: OpenVisit, site: Site, scheme: str) -> None:
    visit = open_visit(site, color_scheme=scheme)
    visit.open()
    found = visit.page.evaluate(CONTRASTS, [pair[:2] for pair in PAIRS])
    assert [(*pair, ratio) for pair, ratio in zip(PAIRS, found, strict=True) if ratio < pair[2]] == []


def test_nothing_moves_where_motion_is_unwanted(open_visit: OpenVisit, site: Site) -> None:
    visit = open_visit(site, reduced_motion="reduce")
    visit.page.route("**/search", lambda route: None)
    visit.open("/?text=red")
    picture = visit.page.locator(".skeleton .picture").first
    expect(picture).to_be_visible()
    assert picture.evaluate("(each) => getComputedStyle(each).animationName") == "none"
    assert visit.words.evaluate("(each) => getComputedStyle(each).transitionDuration") == "0s"


def test_everything_that_can_be_used_has_a_name(visit: Visit) -> None:
    visit.search("red mug")
    expect(visit.cards).to_have_count(24)
    nameless = """() => [...document.querySelectorAll("button, input, select, a, article, dialog, img")]
        .filter((each) => !each.getAttribute("aria-label") && !each.getAttribute("aria-labelledby") && !each.textContent.trim()
            && !each.labels?.length && each.getAttribute("alt") === null)
        .map((each) => each.outerHTML)"""
    assert visit.page.evaluate(nameless) == []
    assert visit.page.evaluate("document.documentElement.lang") == "en"
    levels = visit.page.locator("main :is(h1, h2, h3), header h1").evaluate_all(
        "(all) => all.map((each) => each.tagName)"
    )
    assert levels[0] == "H1"
