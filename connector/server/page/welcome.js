// The page before anything is searched for: what there is, and where to start.

import { byId, icon, make, number } from "./elements.js";
import { narrows } from "./groups.js";
import { picture, spaced, title, told } from "./records.js";

const root = byId("welcome");

/** Shows the start: `readsText`, how many records there are (null if unknown), suggestions by field, and how to begin. */
export function showWelcome({ readsText, count, suggestions, begin }) {
  root.hidden = false;
  const touched = matchMedia("(hover: none)").matches;
  const how = touched ? "pick or take a picture" : "drop a picture anywhere on this page";
  const lead = readsText ? `Say what you are looking for, ${how}, or start from one of these.` : `To find what looks like it, ${how}.`;
  const ways = readsText ? "Find it by words, by a picture, or by both" : "Find it by a picture";
  root.replaceChildren(
    make("h2", {}, ways),
    make("p", {}, count === null ? "" : `${number(count, "record")} here. `, lead),
    make("button", { class: "picker", type: "button", onclick: () => byId("pick").click() },
      icon("picture"),
      make("span", {}, make("strong", {}, touched ? "Pick or take a picture" : "Drop, paste or pick a picture"), " and see what looks like it")),
    ...suggestions.map(({ field, values }) =>
      make("div", { class: "suggested" }, make("h3", {}, spaced(field.name)),
        make("div", {}, values.map((value) =>
          make("button", { class: "chip", type: "button", onclick: () => begin(field, value) }, told(value)))))),
    make("div", { id: "starters" }));
}

export function hideWelcome() {
  root.hidden = true;
  root.replaceChildren();
}

/** A few records to start from, under the suggestions. */
export function showStarters(hits, schemaOf, more) {
  if (!byId("starters") || !hits.length) return;
  byId("starters").replaceChildren(
    make("h3", {}, "Or more like one of these"),
    make("div", {}, hits.map((hit) => {
      const name = title(hit, schemaOf(hit));
      return make("button", { class: "see", type: "button", title: name, "aria-label": `More like ${name}`, onclick: () => more(hit) },
        picture(hit.id, hit.schema, 192));
    })));
}

/** The choices to suggest: of each field of few values, the most frequent. */
export function suggestionsFrom(schema, { facets }) {
  return (schema?.fields ?? [])
    .filter((field) => field.filter === "choice" && facets[field.name]?.length > 1 && narrows(facets[field.name]))
    .slice(0, 3)
    .map((field) => ({ field, values: facets[field.name].slice(0, 8).map((each) => each.value) }));
}
