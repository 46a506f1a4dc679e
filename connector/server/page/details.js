// The dialogs: one hit in full, the keyboard, and the key to a locked collection.

import { hasKey, useKey } from "./answers.js";
import { byId, icon, make } from "./elements.js";
import { facts, parts, picture, title, told } from "./records.js";

/** Every dialog closes by its buttons and by a click beside it; Esc is the browser's own. */
export function watchDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
  }
}

export const isOpen = () => document.querySelector("dialog[open]") !== null;

export function openHelp() {
  if (!isOpen()) byId("help").showModal();
}

/** One hit in full: its picture, all its values, and what its parts scored. */
export function openHit(hit, schema, { more, less }) {
  const dialog = byId("details");
  const act = (name, image, label, work, first = false) =>
    make("button", { class: name, type: "button", autofocus: first, onclick: () => { dialog.close(); work(hit); } }, icon(image), label);
  dialog.replaceChildren(
    make("div", { class: "head" },
      make("h2", { id: "details-title" }, title(hit, schema)),
      make("button", { class: "quiet", type: "button", "data-close": true, "aria-label": "Close" }, icon("close"))),
    make("div", { class: "split" },
      picture(hit.id, hit.schema, 512, title(hit, schema)),
      make("div", {},
        make("dl", { class: "facts" }, [["id", String(hit.id)], ...facts(hit, schema)].map(([name, value]) =>
          make("div", {}, make("dt", {}, name), make("dd", {}, shown(value))))),
        typeof hit.score === "number" ? parts(hit) : null)),
    make("p", { class: "row" }, act("plain", "less", "Not like this", less), act("strong", "more", "More like this", more, true)));
  dialog.showModal();
}

/** Asks for the key, then calls `again`. */
export function openLocked(again) {
  const dialog = byId("locked");
  byId("locked-why").textContent = hasKey()
    ? "The key that was given does not open it. Give another one."
    : "Whoever runs this server can give you one.";
  byId("unlock").onsubmit = (event) => {
    event.preventDefault();
    useKey(byId("key").value.trim());
    byId("key").value = "";
    dialog.close();
    again();
  };
  if (!dialog.open) dialog.showModal();
}

function shown(value) {
  if (typeof value !== "string" || !/^https?:\/\//i.test(value)) return told(value);
  return make("a", { href: value, target: "_blank", rel: "noopener noreferrer" }, value);
}
