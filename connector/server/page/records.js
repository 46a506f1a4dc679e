// How a record is shown: its words, its facts, its picture and its scores.

import { showPicture } from "./answers.js";
import { icon, make } from "./elements.js";

/** What a record is called: its description, else its id without folders. */
export function title({ id, record }, schema) {
  const words = schema?.description ? record[schema.description] : null;
  return words ? String(words) : String(id).split("/").pop();
}

/** [name, text] of each value a record has, other than its id, picture and description. */
export function facts({ record }, schema) {
  const left = new Set([schema?.id, schema?.blob, schema?.description]);
  return Object.entries(record)
    .filter(([name, value]) => !left.has(name) && value !== null && value !== "" && !(Array.isArray(value) && !value.length))
    .map(([name, value]) => [spaced(name), value]);
}

/** `in_stock` as people read it. */
export const spaced = (name) => name.replaceAll("_", " ");

export function told(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(told).join(", ");
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false }) : String(value);
}

/** A card's facts, each in a few words: "Fernhope", "price 12.5", "in stock". Web addresses are left for the details. */
export function brief(hit, schema) {
  const told = facts(hit, schema).filter(([, value]) => !/^https?:/.test(value)).map(inBrief);
  return make("p", { class: "facts" }, told.map((each) => make("span", {}, each)));
}

function inBrief([name, value]) {
  if (typeof value === "boolean") return value ? name : `not ${name}`;
  return typeof value === "number" ? `${name} ${told(value)}` : told(value);
}

/** A record's own picture, or a quiet place that says there is none. */
export function picture(id, schema, side, alt = "") {
  const image = make("img", { alt, draggable: "false", decoding: "async", loading: "lazy", width: side, height: side });
  const frame = make("span", { class: "picture" }, image);
  image.addEventListener("load", () => frame.classList.add("there"));
  image.addEventListener("error", () => {
    frame.classList.add("none");
    frame.replaceChildren(icon("picture"), make("span", {}, "no picture at hand"));
  });
  showPicture(image, id, side, schema);
  return frame;
}

/** A bar and a number for each part that was compared; cosines, so a bar may be empty. */
export function parts(hit) {
  const rows = [["Fused", hit.score], ["Picture", hit.parts?.image], ["Words", hit.parts?.text]].map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, ...(typeof value === "number" ? [bar(value), value.toFixed(3)] : ["none"]))),
  );
  return make("dl", { class: "parts" }, rows);
}

/** A bar that is full where `value` reaches `most`. */
export function bar(value, most = 1) {
  const share = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  const element = make("span", { class: "bar", "aria-hidden": "true" });
  element.style.setProperty("--share", share.toFixed(3));
  return element;
}
