// One filter each for the four kinds of field: choices, ranges, flags and words.
//
// A group has an `element`, shows a test with `show`, and takes new facet counts with `count`; `put(test, soon)` changes the test.

import { make } from "./elements.js";
import { spaced, told } from "./records.js";

const SHORT = 5; // choices shown before "all"

/** The group of a field, or null where there is nothing to choose from. */
export function groupOf(field, { facets, ranges }, put) {
  const choices = facets[field.name] ?? [];
  if (field.filter === "choice") return narrows(choices) ? choiceGroup(field, choices, put) : null;
  if (field.filter === "flag") return flagGroup(field, choices, put);
  if (field.filter === "words") return wordsGroup(field, put);
  const range = ranges[field.name];
  if (!range || range.min === null || range.min === undefined || range.min === range.max) return null;
  return typeof range.min === "number" ? rangeGroup(field, range, put) : datesGroup(field, range, put);
}

/** Whether choosing among these leads anywhere: not where there are none, or every record has its own. */
export const narrows = (choices) => choices.length > 0 && (choices.length <= 8 || choices.some(({ count }) => count > 1));

function choiceGroup(field, choices, put) {
  let chosen = [];
  const rows = new Map();
  const list = make("div", { class: "choices" });
  const all = make("button", { class: "link", type: "button", onclick: () => unfold(list.classList.toggle("all")) });
  const unfold = (open) => {
    all.textContent = open ? "Show fewer" : `Show all ${rows.size}`;
    all.setAttribute("aria-expanded", String(open));
    all.hidden = rows.size <= SHORT;
  };
  const add = (value) => {
    const box = make("input", { type: "checkbox", onchange: (event) => turn(value, event.target.checked) });
    const count = make("span", { class: "number" });
    rows.set(value, { box, count });
    list.append(make("label", {}, box, make("span", { class: "name" }, told(value)), count));
  };
  const turn = (value, on) => {
    chosen = on ? [...chosen, value] : chosen.filter((other) => other !== value);
    put(chosen.length ? { values: chosen } : null, true);
  };
  const count = (counts) => {
    const numbers = new Map(counts.map((each) => [each.value, each.count]));
    for (const [value, row] of rows) {
      row.count.textContent = (numbers.get(value) ?? 0).toLocaleString("en");
      row.box.parentElement.classList.toggle("empty", !numbers.get(value) && !row.box.checked);
    }
  };
  const show = (test) => {
    chosen = test?.values ?? [];
    for (const value of chosen) if (!rows.has(value)) add(value);
    for (const [value, row] of rows) row.box.checked = chosen.includes(value);
    unfold(list.classList.contains("all"));
  };
  choices.forEach(({ value }) => add(value));
  count(choices);
  unfold(false);
  return { element: group(field, list, all), show, count };
}

function flagGroup(field, choices, put) {
  const options = [["Any", null], ["Yes", { is: true }], ["No", { is: false }]];
  const counts = [];
  const radios = options.map(([name, test], at) => {
    const radio = make("input", { type: "radio", name: `filter-${field.name}`, onchange: () => put(test, true) });
    counts[at] = make("span", { class: "number" });
    return [radio, make("label", {}, radio, make("span", {}, name), counts[at])];
  });
  const show = (test) => radios.forEach(([radio], at) => (radio.checked = (test?.is ?? null) === (options[at][1]?.is ?? null)));
  const count = (found) => {
    const numbers = new Map(found.map((each) => [String(each.value), each.count]));
    if (numbers.size) [true, false].forEach((value, at) => (counts[at + 1].textContent = (numbers.get(String(value)) ?? 0).toLocaleString("en")));
  };
  count(choices);
  return { element: group(field, make("div", { class: "flags" }, radios.map(([, label]) => label))), show, count };
}

function wordsGroup(field, put) {
  const input = make("input", { type: "search", "aria-label": `Words in ${spaced(field.name)}`, placeholder: "has the words …", spellcheck: "false" });
  const changed = (soon) => put(/[\p{L}\p{N}]/u.test(input.value) ? { words: input.value.trim() } : null, soon);
  watchTyping(input, changed);
  const show = (test) => {
    if (input.value.trim() !== (test?.words ?? "")) input.value = test?.words ?? "";
  };
  return { element: group(field, input), show };
}

function rangeGroup(field, { min, max }, put) {
  const step = stepOf(field, max - min);
  const [low, high] = [Math.floor(min / step) * step, Math.ceil(max / step) * step];
  const name = spaced(field.name);
  const handle = (label, value) => make("input", { type: "range", min: low, max: high, step, value, "aria-label": label });
  const box = (label, value) =>
    make("input", { type: "number", step: whole(field) ? 1 : "any", placeholder: value, "aria-label": label, inputmode: "decimal" });
  const handles = [handle(`Least ${name}, handle`, low), handle(`Most ${name}, handle`, high)];
  const boxes = [box(`Least ${name}`, Math.floor(min)), box(`Most ${name}`, Math.ceil(max))];
  const slider = make("div", { class: "slider" }, make("span", { class: "track" }), handles);

  const place = (from = low, to = high) => {
    [handles[0].value, handles[1].value] = [from, to];
    const share = (value) => Math.min(1, Math.max(0, (value - low) / (high - low))).toFixed(4);
    slider.style.setProperty("--from", share(from));
    slider.style.setProperty("--to", share(to));
    // At the far right both handles may lie on each other; then the lower one must be the one to grab.
    slider.classList.toggle("low-first", from > (low + high) / 2);
  };
  const send = (soon) => {
    const [from, to] = boxes.map((each) => (each.value === "" || !each.validity.valid ? undefined : Number(each.value)));
    place(from, to);
    put(from === undefined && to === undefined ? null : { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }, soon);
  };
  handles.forEach((each, at) => {
    each.addEventListener("input", () => {
      const value = at ? Math.max(Number(each.value), Number(handles[0].value)) : Math.min(Number(each.value), Number(handles[1].value));
      boxes[at].value = value === (at ? high : low) ? "" : value;
      send(false);
    });
    watchTyping(boxes[at], send);
  });
  const show = (test) => {
    [test?.from, test?.to].forEach((value, at) => {
      if (boxes[at].value === "" || Number(boxes[at].value) !== value) boxes[at].value = value ?? "";
    });
    place(test?.from, test?.to);
  };
  place();
  return { element: group(field, slider, make("div", { class: "ends" }, boxes[0], make("span", { "aria-hidden": "true" }, "–"), boxes[1])), show };
}

// Not on "change": it comes when the pointer goes down elsewhere, and a search then would move what is about to be clicked.
function watchTyping(input, send) {
  input.addEventListener("input", () => send(false));
  input.addEventListener("keydown", (event) => event.key === "Enter" && send(true));
}

function datesGroup(field, { min, max }, put) {
  const [name, day] = [spaced(field.name), (value) => value.slice(0, 10)];
  const timed = String(min).length > 10;
  const boxes = ["First", "Last"].map((end) => make("input", { type: "date", min: day(min), max: day(max), "aria-label": `${end} ${name}` }));
  const send = () => {
    const [from, to] = boxes.map((each) => each.value);
    const test = { ...(from && { from: timed ? `${from}T00:00:00Z` : from }), ...(to && { to: timed ? `${to}T23:59:59Z` : to }) };
    put(from || to ? test : null, true);
  };
  boxes.forEach((each) => each.addEventListener("change", send));
  const show = (test) => [test?.from, test?.to].forEach((value, at) => (boxes[at].value = value ? day(String(value)) : ""));
  return { element: group(field, make("div", { class: "ends" }, boxes[0], make("span", { "aria-hidden": "true" }, "–"), boxes[1])), show };
}

function group(field, ...children) {
  return make("fieldset", { "data-field": field.name }, make("legend", {}, spaced(field.name)), children);
}

const whole = (field) => /\bint\b/.test(field.kind);

/** A round step that cuts a span into 50 to 500. */
function stepOf(field, span) {
  const step = 10 ** Math.floor(Math.log10(span / 50));
  return whole(field) ? Math.max(1, step) : step;
}
