// Light or dark: what the visitor chose, else what the system says. Runs before the first paint, so nothing flashes.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try { return localStorage.getItem("theme"); } catch { return null; } // storage may be forbidden; then nothing is kept
  };
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  const chosen = kept();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => button.setAttribute("aria-pressed", String(dark()));
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* forbidden: it holds until the page is closed */ }
      show();
    });
    system.addEventListener("change", show);
    show();
  });
})();
