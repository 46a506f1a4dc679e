// The server: asked, answered, and its troubles told. The only file that fetches.

let key = kept();
const NETWORK = "The server does not answer. It may be restarting, or this device may be offline.";

/** What went wrong: `kind` is unreachable, locked, busy, refused or broken, `about` "picture" or "". The message is for people. */
export class Trouble extends Error {
  constructor(kind, message, about = "") {
    super(message);
    this.kind = kind;
    this.about = about;
  }
}

export const get = (path, parameters = {}, signal = undefined) => ask(address(path, parameters), { signal });

export function post(path, body, signal) {
  const headers = typeof body === "string" ? { "Content-Type": "application/json" } : {};
  return ask(path, { method: "POST", body, headers, signal });
}

export const hasKey = () => key !== "";

export function useKey(value) {
  key = value;
  try {
    sessionStorage.setItem("key", value);
  } catch {
    // Storage may be forbidden; then the key holds until the page is left.
  }
}

/** Shows a record's own picture in `image`; "error" is dispatched on it where there is none. */
export async function showPicture(image, id, side, schema) {
  const place = address(`/images/${encodeURIComponent(id)}`, { side, schema });
  if (!key) {
    image.src = place;
    return;
  }
  // An image element sends no key, so the picture is fetched and shown from memory.
  try {
    const response = await fetch(place, { headers: authorization() });
    if (!response.ok) throw new Error(response.statusText);
    const held = URL.createObjectURL(await response.blob());
    for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(held), { once: true });
    image.src = held;
  } catch {
    image.dispatchEvent(new Event("error")); // the picture's place tells that it cannot be had
  }
}

function kept() {
  try {
    return sessionStorage.getItem("key") ?? "";
  } catch {
    return "";
  }
}

const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

function address(path, parameters) {
  const said = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined));
  return said.size ? `${path}?${said}` : path;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Accept: "application/json", ...options.headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("unreachable", NETWORK);
  }
  const answer = await parsed(response);
  if (response.ok && answer !== null) return answer;
  throw trouble(response, answer ?? {});
}

async function parsed(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null; // a proxy's page, or an answer cut off
  }
}

function trouble(response, { detail, code }) {
  const told = typeof detail === "string" ? detail : "";
  const { status } = response;
  if (status === 401) return new Trouble("locked", told);
  if (status === 429 || status === 503) return new Trouble("busy", waiting(response, told));
  if ([502, 504].includes(status)) return new Trouble("unreachable", NETWORK);
  if (status >= 400 && status < 500) return new Trouble("refused", told || `The server refused this (${status}).`, /^blob/.test(code) ? "picture" : "");
  const id = response.headers.get("X-Request-ID");
  return new Trouble("broken", `Something broke on the server (${status}).${id ? ` Its log knows it as ${id}.` : ""}`);
}

function waiting(response, told) {
  const seconds = Number(response.headers.get("Retry-After"));
  return `${told || "The server has its hands full."}${seconds > 0 ? ` It asks to wait ${seconds} s.` : ""}`;
}
