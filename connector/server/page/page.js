// The search page: holds the query, asks the server, and shows the answer. Everything else is in the files beside.

import { get, post, Trouble } from "./answers.js";
import { write } from "./conditions.js";
import { isOpen, openHelp, openHit, openLocked, watchDialogs } from "./details.js";
import { byId, number } from "./elements.js";
import { chosenFilters, chosenValues, countAgain, makeFilters, showFilters } from "./filters.js";
import { awaitHits, clearHits, enterHits, rest, showHits, watchHits } from "./hits.js";
import { hideMessage, showNothing, showTrouble } from "./messages.js";
import { watchPictures } from "./pictures.js";
import { asks, body, fromAddress, mixes, NOTHING, toAddress } from "./query.js";
import { learn, remember, showChips, showPictureAsked } from "./tokens.js";
import { hideWelcome, showStarters, showWelcome, suggestionsFrom } from "./welcome.js";

const PAGE = 24; // hits at a time
const DEEPEST = 10_000; // the server skips no more hits than that

let catalogue = null; // what GET /schema says
let base = { facets: {}, ranges: {} }; // all facets of the schema shown, unfiltered
let prepared = null; // the schema whose filters are made
let query = fromAddress(location.search);
let asked = null; // the query whose hits are shown, as it was sent
let hits = [];
let passing = null; // how many records the filters let through
let running = new AbortController();
let lastKey = null; // what the last change was about; changes of one thing are one step back
let pending = {}; // changes that wait for more of them
let waiting = 0; // for the end of that
const pictures = []; // of this visit; a step in the history knows its picture's number

const words = byId("words");
const schemaOf = (hit) => catalogue.schemas.find(({ name }) => name === hit.schema) ?? catalogue.schemas[0];
const schemaShown = () => (catalogue.schemas.length === 1 ? catalogue.schemas[0] : catalogue.schemas.find(({ name }) => name === query.schema));
const browses = () => !asks(query) && Boolean(query.where) && catalogue.text;

// --- the query changes ---

/** Changes the query, writes it into the address bar and searches. Changes in a row that share a `key` are one step back. */
function change(part, key = null) {
  clearTimeout(waiting);
  const before = query;
  query = { ...query, ...pending, ...part };
  pending = {};
  if (query.picture && !pictures.includes(query.picture)) pictures.push(query.picture);
  const same = toAddress(query) === toAddress(before) && query.picture === before.picture;
  const step = same || (key !== null && key === lastKey) ? "replaceState" : "pushState";
  history[step]({ picture: pictures.indexOf(query.picture) }, "", toAddress(query));
  lastKey = key;
  return run();
}

/** Changes the query once nothing has changed for a while; a change of something else meanwhile takes it along. */
function changeSoon(part, key, pause = 300) {
  clearTimeout(waiting);
  pending = { ...pending, ...part };
  waiting = setTimeout(() => change({}, key), pause);
}

function returned({ state }) {
  clearTimeout(waiting);
  pending = {};
  query = fromAddress(location.search);
  query.picture = pictures[state?.picture] ?? query.picture;
  lastKey = null;
  return run();
}

const like = (hit) => change({ text: "", picture: null, like: String(hit.id), unlike: [] });
const unlike = (hit) => change({ unlike: [...query.unlike, String(hit.id)] });
const open = (hit) => openHit(browses() ? { ...hit, score: undefined } : hit, schemaOf(hit), { more: like, less: unlike });
const begin = (field, value) => change({ text: String(value), where: write(new Map([[field.name, { values: [value] }]]), [field]) });

// --- the server is asked ---

async function run() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  hideMessage();
  hideWelcome();
  try {
    await prepare(signal);
    showQuery();
    await Promise.all([asks(query) || browses() ? search(signal) : welcome(signal), name(signal)]);
  } catch (error) {
    if (!signal.aborted) fail(error, run); // else a newer search has taken over
  }
}

/** Sees that the catalogue is known, and the filters are those of the schema shown. */
async function prepare(signal) {
  if (!catalogue) {
    awaitHits();
    const found = await get("/schema", {}, signal);
    if (signal.aborted) return;
    catalogue = found;
    showCatalogue();
  }
  const schema = schemaShown();
  if (prepared === (schema ?? "all")) return;
  const found = schema ? await get("/facets", { schema: schema.name }, signal) : { facets: {}, ranges: {} };
  if (signal.aborted) return;
  [base, prepared] = [found, schema ?? "all"];
  makeFilters(schema, base, (where, key, soon) => (soon ? change : changeSoon)({ where }, key));
}

async function search(signal) {
  awaitHits();
  byId("next").hidden = true;
  const sent = browses() ? { ...query, text: neutralWords() } : query;
  const [answer] = await Promise.all([post("/search", body(sent, 0, PAGE + 1), signal), recount(signal)]);
  if (signal.aborted) return;
  [asked, hits] = [sent, []];
  take(answer.hits, false);
  scrollTo({ top: 0 });
}

async function more() {
  const { signal } = running;
  byId("next").disabled = true;
  hideMessage();
  try {
    const answer = await post("/search", body(asked, hits.length, PAGE + 1), signal);
    if (!signal.aborted) take(answer.hits, true);
  } catch (error) {
    if (!signal.aborted) fail(error, more);
  } finally {
    byId("next").disabled = false;
  }
}

// One hit more than a page is asked for, which tells whether there is another page.
function take(found, further) {
  const page = found.slice(0, PAGE);
  hits.push(...page);
  page.forEach((hit) => remember(hit, schemaOf(hit)));
  showHits(page, schemaOf, { more: further, ranked: !browses() });
  byId("next").hidden = found.length <= PAGE || hits.length + PAGE > DEEPEST;
  tell();
  if (hits.length) return;
  const filtered = query.where ? [["Remove the filters", () => change({ where: "" })]] : [];
  showNothing([...filtered, ["Start again", () => change(NOTHING)]]);
}

function tell() {
  const all = Math.max(hits.length, passing - query.unlike.length - (query.like === null ? 0 : 1));
  const shown = byId("next").hidden ? number(hits.length, "hit") : `${hits.length} of ${number(all, "record")}`;
  byId("status").textContent = hits.length ? `${shown}, ${browses() ? "in no particular order" : "nearest first"}` : "";
}

async function welcome(signal) {
  clearHits();
  byId("next").hidden = true;
  byId("status").textContent = "";
  await recount(signal);
  if (signal.aborted) return;
  const suggestions = catalogue.text ? suggestionsFrom(schemaShown(), base) : [];
  showWelcome({ readsText: catalogue.text, count: passing, suggestions, begin });
  if (!catalogue.text || !passing) return;
  const answer = await post("/search", body({ ...query, text: neutralWords() }, 0, 8), signal);
  if (signal.aborted) return;
  answer.hits.forEach((hit) => remember(hit, schemaOf(hit)));
  showStarters(answer.hits, schemaOf, like);
}

// There is no list of records: where nothing is asked for, words that stand for many of them are.
function neutralWords() {
  const common = Object.values(base.facets).flatMap((found) => found.slice(0, 3)).map(({ value }) => value);
  return [...chosenValues(), ...common].filter((value) => typeof value === "string").slice(0, 8).join(" ") || catalogue.schemas[0].name;
}

async function recount(signal) {
  const schema = schemaShown();
  const counted = get("/count", { schema: query.schema, where: query.where }, signal);
  const [{ count }] = await Promise.all([counted, schema && countAgain(schema.name, signal)]);
  if (!signal.aborted) passing = count;
}

async function name(signal) {
  const ids = [...(query.like === null ? [] : [query.like]), ...query.unlike];
  if ((await learn(ids, query.schema, schemaOf, signal)) && !signal.aborted) showTokens();
}

function fail(error, again) {
  if (!error.kind) throw error; // a fault of this page: the console is the place for it
  byId("status").textContent = "";
  if (again === run) clearHits();
  rest();
  if (error.kind === "locked") openLocked(again);
  showTrouble(error, waysOut(error, again));
}

// What was refused will be refused again, so something else is offered than another try.
function waysOut({ kind, about }, again) {
  if (kind === "locked") return [["Give a key", () => openLocked(again)]];
  if (kind !== "refused") return [["Try again", again]];
  const ways = [];
  if (about === "picture" || query.picture) ways.push(["Pick another picture", () => byId("pick").click()]);
  if (query.picture) ways.push(["Remove the picture", () => change({ picture: null })]);
  if (query.where && about !== "picture") ways.push(["Remove the filters", () => change({ where: "" })]);
  return ways.length ? ways : [["Start again", () => change(NOTHING)]];
}

// --- the query, shown ---

function showQuery() {
  if (words.value.trim() !== query.text.trim()) words.value = query.text;
  showFilters(query.where);
  showTokens();
  byId("schema").value = query.schema;
  byId("balance").hidden = !mixes(query);
  byId("weight").value = query.weight;
  showWeight();
  document.title = [query.text.trim() || (asks(query) ? "By picture" : ""), catalogue.collection].filter(Boolean).join(" · ");
}

function showTokens() {
  showPictureAsked(query, () => change({ picture: null, like: null }));
  showChips(query, chosenFilters(), change);
}

function showWeight() {
  const picture = Number(byId("weight").value);
  byId("weight").setAttribute("aria-valuetext", `picture ${picture} percent, words ${100 - picture} percent`);
  byId("picture-share").textContent = `Picture ${picture} %`;
  byId("words-share").textContent = `Words ${100 - picture} %`;
}

function showCatalogue() {
  byId("collection").textContent = catalogue.collection;
  byId("schema").append(...catalogue.schemas.map(({ name }) => new Option(name, name)));
  byId("schema").parentElement.hidden = catalogue.schemas.length < 2;
  words.disabled = !catalogue.text;
  if (!catalogue.text) words.placeholder = "Search by a picture";
  else if (matchMedia("(hover: none)").matches) words.placeholder = "Describe it"; // nothing is dropped on a phone
}

// --- the visitor acts ---

const typed = () => changeSoon({ text: words.value }, "words", 350);

function watch() {
  words.addEventListener("input", (event) => event.isComposing || typed());
  words.addEventListener("compositionend", typed);
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ text: words.value }, "words");
    lastKey = null; // what is typed next is another step
  });
  byId("weight").addEventListener("input", () => {
    showWeight();
    changeSoon({ weight: Number(byId("weight").value) }, "weight", 200);
  });
  byId("schema").addEventListener("change", () => change({ schema: byId("schema").value, where: "" }));
  byId("next").addEventListener("click", more);
  byId("keys").addEventListener("click", openHelp);
  byId("unfold").addEventListener("click", () => byId("unfold").setAttribute("aria-expanded", String(byId("panel").classList.toggle("open"))));
  addEventListener("popstate", returned);
  addEventListener("keydown", press);
  watchPictures((picture) => change({ picture, like: null }), refusePicture);
  watchHits({ open, more: like, less: unlike, leave: () => words.focus() });
  watchDialogs();
}

// What is shown stays: only the picture was not taken.
function refusePicture(message) {
  const error = new Trouble("refused", message, "picture");
  showTrouble(error, [...waysOut(error), ["Never mind", hideMessage]]);
}

function press(event) {
  if (event.defaultPrevented || isOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  const writes = event.target.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea");
  if (event.key === "ArrowDown" && event.target === words && enterHits()) event.preventDefault();
  else if (event.key === "Escape" && event.target === words) clear(event);
  else if (event.key === "Escape" && writes) words.focus();
  else if (writes) return;
  else if (event.key === "?") openHelp();
  else if (event.key === "/") {
    event.preventDefault();
    words.focus();
    words.select();
  }
}

function clear(event) {
  event.preventDefault();
  change({ text: "" });
}

watch();
run();
