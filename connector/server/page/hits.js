// The grid of hits: cards, their skeletons, and the keys that walk it.

import { byId, make } from "./elements.js";
import { bar, brief, parts, picture, title } from "./records.js";

const grid = byId("hits");
let act = {}; // what a hit can be asked for: open, more, less
let at = 0; // the card that Tab reaches

/** Ties the grid's keys to `actions`: {open, more, less}, each called with a hit, and `leave` for Esc. */
export function watchHits(actions) {
  act = actions;
  grid.addEventListener("keydown", walk);
  grid.addEventListener("focusin", (event) => reach(cards().indexOf(event.target.closest("article"))));
}

/** Shows hits: in place of what was there, or after it where `more`. `ranked` is false where scores mean nothing. */
export function showHits(hits, schemaOf, { more = false, ranked = true } = {}) {
  const held = !more && grid.contains(document.activeElement);
  if (!more) grid.replaceChildren();
  const first = grid.children.length;
  const best = Math.max(...hits.map((hit) => hit.score), Number(grid.dataset.best && more ? grid.dataset.best : 0));
  grid.dataset.best = best;
  grid.append(...hits.map((hit) => card(hit, schemaOf(hit), best, ranked)));
  rest();
  reach(more ? first : Math.min(at, hits.length - 1));
  if (held || more) cards()[at]?.focus({ preventScroll: !more });
}

/** Something is on its way: skeletons in an empty grid, else the old hits step back. */
export function awaitHits() {
  grid.setAttribute("aria-busy", "true");
  if (!grid.children.length) grid.append(...Array.from({ length: 12 }, skeleton));
}

/** Nothing is on its way. */
export function rest() {
  grid.removeAttribute("aria-busy");
  grid.querySelectorAll(".skeleton").forEach((each) => each.remove());
}

export function clearHits() {
  rest();
  grid.replaceChildren();
}

/** Focus the card that was looked at last; false where there is none. */
export function enterHits() {
  cards()[at]?.focus();
  return cards().length > 0;
}

function card(hit, schema, best, ranked) {
  const name = title(hit, schema);
  const scores = parts(hit);
  scores.hidden = true;
  const number = hit.score.toFixed(2);
  const score = make("button",
    { class: "score", type: "button", "aria-expanded": "false", "aria-label": `Score ${number}: show its parts`, title: "Scores of its parts (S)" },
    bar(hit.score, best), make("span", {}, number));
  score.addEventListener("click", () => {
    scores.hidden = !scores.hidden;
    score.setAttribute("aria-expanded", String(!scores.hidden));
  });
  const article = make("article", { tabindex: "-1", "aria-label": name, "aria-keyshortcuts": "Enter M N S", "data-id": hit.id },
    make("button", { class: "see", type: "button", tabindex: "-1", "aria-label": `Open ${name}`, onclick: () => act.open(hit) },
      picture(hit.id, hit.schema, 320)),
    make("h3", {}, name),
    brief(hit, schema),
    ranked ? score : null,
    scores,
    make("div", { class: "acts" },
      make("button", { type: "button", title: "M", "aria-label": `More like this: ${name}`, onclick: () => act.more(hit) }, "More like this"),
      make("button", { type: "button", title: "N", "aria-label": `Not like this: ${name}`, onclick: () => act.less(hit) }, "Not like this")));
  article.addEventListener("keydown", (event) => press(event, hit, score));
  return make("li", {}, article);
}

// The letters work on a card that has the focus, and on its buttons.
function press(event, hit, score) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "m") act.more(hit);
  else if (key === "n") act.less(hit);
  else if (key === "s" && score.isConnected) score.click();
  else if (key === "enter" && event.target.matches("article")) act.open(hit);
  else return;
  event.preventDefault();
}

function walk(event) {
  const all = cards();
  const here = all.indexOf(event.target.closest("article"));
  const row = columns(all);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -here, End: all.length - 1 - here };
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
  if (event.key === "Escape") act.leave();
  else if (event.key === "ArrowUp" && here < row) act.leave();
  else if (event.key in steps && plain) all[Math.max(0, Math.min(all.length - 1, here + steps[event.key]))].focus();
  else return;
  event.preventDefault();
}

// One card at a time, with its buttons, is in the order of Tab.
function reach(index) {
  if (index < 0) return;
  cards().forEach((each, place) => {
    each.tabIndex = place === index ? 0 : -1;
    for (const button of each.querySelectorAll("button:not(.see)")) button.tabIndex = each.tabIndex;
  });
  at = index;
}

const cards = () => [...grid.querySelectorAll("article")];

function columns(all) {
  const top = all[0].getBoundingClientRect().top;
  return Math.max(1, all.filter((each) => each.getBoundingClientRect().top === top).length);
}

const skeleton = () =>
  make("li", { class: "skeleton", "aria-hidden": "true" }, ["picture", "line", "line short"].map((part) => make("span", { class: part })));
