// What is searched for, as things to take away again: the picture in the search box, and chips for the rest.

import { get } from "./answers.js";
import { byId, icon, make } from "./elements.js";
import { picture, title } from "./records.js";

const names = new Map(); // what records seen so far are called, by id

/** Keeps what a record is called, for its chip. */
export const remember = (hit, schema) => names.set(String(hit.id), title(hit, schema));

/** Learns what the records are called that a shared address names by their ids only. */
export async function learn(ids, schema, schemaOf, signal) {
  const unknown = ids.filter((id) => !names.has(String(id)));
  const found = await Promise.all(unknown.map((id) => get(`/records/${encodeURIComponent(id)}`, { schema }, signal)));
  found.forEach((each, at) => remember({ ...each, id: unknown[at] }, schemaOf(each)));
  return unknown.length > 0;
}

/** The picture, or the record that stands for one, inside the search box; `remove` takes it out. */
export function showPictureAsked({ picture: own, like, schema }, remove) {
  const place = byId("asked");
  place.hidden = own === null && like === null;
  if (place.hidden) return place.replaceChildren();
  const shown = like === null ? preview(own) : picture(like, schema, 64);
  const name = like !== null ? `Like ${named(like)}` : own.address ? new URL(own.address).hostname : "Your picture";
  return place.replaceChildren(
    shown,
    make("span", { class: "name", title: name }, name),
    make("button", { class: "quiet", type: "button", "aria-label": `Remove “${name}”`, title: "Remove", onclick: remove }, icon("close")));
}

// A picture from elsewhere is not shown: this page asks its own server only.
function preview({ preview: address }) {
  if (!address) return icon("picture");
  const image = make("img", { src: address, alt: "" });
  image.addEventListener("error", () => image.replaceWith(icon("picture")));
  return image;
}

/** A chip for each record not to be like and for each filter; `change` takes what is left without it. */
export function showChips({ unlike, schema }, filters, change) {
  const chips = [
    ...unlike.map((id) => chip(`Not like ${named(id)}`, picture(id, schema, 64), () => change({ unlike: unlike.filter((other) => other !== id) }))),
    ...filters.map(({ words, rest }) => chip(words, null, () => change({ where: rest }))),
  ];
  if (chips.length > 1) chips.push(make("button", { class: "link", type: "button", onclick: () => change({ unlike: [], where: "" }) }, "Clear all"));
  byId("chips").replaceChildren(...chips);
}

function chip(words, image, remove) {
  return make("span", { class: "chip" }, image, make("span", { class: "name" }, words),
    make("button", { class: "quiet", type: "button", "aria-label": `Remove “${words}”`, title: "Remove", onclick: remove }, icon("close")));
}

const named = (id) => names.get(String(id)) ?? String(id).split("/").pop();
