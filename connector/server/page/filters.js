// The filters: made from the schema, counted by the facets, and read from and written to one condition's text.

import { get } from "./answers.js";
import { cut, isList, write } from "./conditions.js";
import { byId } from "./elements.js";
import { groupOf } from "./groups.js";
import { spaced, told } from "./records.js";

const ORDER = ["choice", "range", "flag", "words"]; // from top to bottom

let fields = [];
let groups = new Map();
let tests = new Map(); // by field name
let beyond = ""; // what of the condition is more than filters can show
let change = () => {};

/** Makes the panel for one schema; `base` holds all its facets, `changed(where, key, soon)` is told each new condition. */
export function makeFilters(schema, base, changed) {
  change = changed;
  fields = ORDER.flatMap((kind) => (schema?.fields ?? []).filter(({ filter }) => filter === kind));
  groups = new Map();
  for (const field of fields) {
    const group = groupOf(field, base, (test, soon) => put(field, test, soon));
    if (group) groups.set(field.name, group);
  }
  byId("filters").replaceChildren(...[...groups.values()].map((group) => group.element));
  byId("unfold").hidden = !groups.size;
  showFilters(write(tests, fields, beyond));
}

/** Shows a condition in the panel. */
export function showFilters(text) {
  ({ tests, beyond } = cut(text, fields));
  for (const [name, group] of groups) group.show(tests.get(name) ?? null);
  const count = tests.size + (beyond ? 1 : 0);
  byId("chosen").textContent = count;
  byId("chosen").hidden = count === 0;
}

/** Counts again how many records each choice would leave; a field's own test does not narrow its own counts. */
export async function countAgain(schema, signal) {
  const asked = (condition) => get("/facets", { schema, where: condition }, signal);
  const chosen = fields.filter(({ name, filter }) => ["choice", "flag"].includes(filter) && tests.has(name));
  const [all, ...own] = await Promise.all([asked(write(tests, fields, beyond)), ...chosen.map(({ name }) => asked(without(name)))]);
  if (signal.aborted) return;
  const counts = { ...all.facets };
  chosen.forEach(({ name }, at) => (counts[name] = own[at].facets[name]));
  for (const [name, group] of groups) group.count?.(counts[name] ?? []);
}

/** What is chosen, in words, each with the condition that is left without it. */
export function chosenFilters() {
  const chosen = fields
    .filter(({ name }) => tests.has(name))
    .map((field) => ({ words: words(field, tests.get(field.name)), rest: without(field.name) }));
  return beyond ? [{ words: beyond, rest: write(tests, fields) }, ...chosen] : chosen;
}

/** The values chosen, as words to search by where nothing else was asked. */
export const chosenValues = () => [...tests.values()].flatMap((test) => test.values ?? []).map(String);

function put(field, test, soon) {
  tests = changed(field.name, test);
  change(write(tests, fields, beyond), `filter ${field.name}`, soon);
}

const without = (name) => write(changed(name, null), fields, beyond);

function changed(name, test) {
  const others = new Map(tests);
  if (test) others.set(name, test);
  else others.delete(name);
  return others;
}

function words(field, test) {
  const name = spaced(field.name);
  if (test.values) return `${name}: ${test.values.map(told).join(isList(field) ? " or " : ", ")}`;
  if ("is" in test) return test.is ? name : `not ${name}`;
  if ("words" in test) return `${name} has “${test.words}”`;
  if (test.from === undefined) return `${name} up to ${told(test.to)}`;
  return test.to === undefined ? `${name} from ${told(test.from)}` : `${name} ${told(test.from)} – ${told(test.to)}`;
}
