// What is said in place of hits: that something went wrong and what to do, or that nothing was found.

import { byId, icon, make } from "./elements.js";

const root = byId("message");

const TITLES = {
  unreachable: "No answer from the server",
  locked: "This collection needs a key",
  busy: "Busy right now",
  refused: "That does not work",
  broken: "Something went wrong",
};
const IMAGES = { unreachable: "unplugged", locked: "key", busy: "busy" };

/** Says what went wrong; `ways` are the ways out, [label, what it does] each. */
export function showTrouble({ kind, about, message }, ways) {
  const title = about === "picture" ? "This picture cannot be used" : TITLES[kind];
  show("trouble", IMAGES[kind] ?? "nothing", title, message || "Without it nothing can be shown.", ways);
}

/** Says that nothing was found, and the ways out. */
export function showNothing(ways) {
  show("", "nothing", "Nothing was found", "Nothing here is like that and passes the filters.", ways);
}

export function hideMessage() {
  root.hidden = true;
  root.replaceChildren();
}

function show(name, image, title, words, ways) {
  root.className = name;
  root.hidden = false;
  // Said at once by a screen reader; what was found is told by the status line instead.
  root.replaceChildren(
    make("div", { role: name ? "alert" : null }, icon(image), make("h2", {}, title), make("p", {}, words)),
    make("p", { class: "row" }, ways.map(([label, work], at) => make("button", { class: at ? "plain" : "strong", type: "button", onclick: work }, label))));
}
