// Conditions in their text form, as far as filters can show them: one test a field, joined by "and".
//
// What is beyond that is kept as it is, in parentheses in front: `(price < 3 or brand is none) and in_stock = true`.
// A test is {values: [...]} of a choice, {from, to} of a range, {is: true} of a flag, {words: "..."} of words.

const TOKEN =
  /\s*(?:(?<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\p{L}\p{N}_]))|(?<name>[\p{L}_][\p{L}\p{N}_]*)|(?<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")|(?<sign><=|>=|<>|!=|==?|[<>(),]))/suy;
const ESCAPES = { "\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const UNESCAPES = { n: "\n", r: "\r", t: "\t" };

export const isList = (field) => /^(list|tuple)/.test(field.kind);

/** The text form of `tests`, a Map from field name to test, and of what is `beyond` them. */
export function write(tests, fields, beyond = "") {
  const parts = fields.filter((field) => tests.has(field.name)).flatMap((field) => written(field, tests.get(field.name)));
  if (!parts.length) return beyond;
  return [...(beyond ? [`(${beyond})`] : []), ...parts].join(" and ");
}

/** Cuts a condition into {tests, beyond}: what filters can show, and the text of what they cannot. */
export function cut(text, fields) {
  const tests = read(text, fields);
  if (tests) return { tests, beyond: "" };
  const end = closing(text);
  const rest = end === null ? null : /^\s*and\b(.*)$/is.exec(text.slice(end));
  const others = rest && rest[1].trim() ? read(rest[1], fields) : null;
  return others ? { tests: others, beyond: text.slice(text.indexOf("(") + 1, end - 1) } : { tests: new Map(), beyond: text };
}

/** Where the parenthesis that a text begins with is closed; null where it begins otherwise. */
function closing(text) {
  const tokens = tokensOf(text);
  let depth = 0;
  for (const { word, end } of tokens ?? []) {
    depth += word === "(" ? 1 : word === ")" ? -1 : 0;
    if (depth === 0) return word === ")" ? end : null;
  }
  return null;
}

function written(field, test) {
  const { name } = field;
  if (test.values && isList(field)) {
    const parts = test.values.map((value) => `${name} contains ${literal(value)}`);
    return parts.length > 1 ? [`(${parts.join(" or ")})`] : parts;
  }
  if (test.values) return [`${name} in (${test.values.map(literal).join(", ")})`];
  if ("is" in test) return [`${name} = ${test.is}`];
  if ("words" in test) return [`${name} matches ${literal(test.words)}`];
  return [
    ...(test.from === undefined ? [] : [`${name} >= ${literal(test.from)}`]),
    ...(test.to === undefined ? [] : [`${name} <= ${literal(test.to)}`]),
  ];
}

function literal(value) {
  if (typeof value !== "string") return String(value);
  return `'${value.replace(/[\\'\n\r\t]/g, (found) => ESCAPES[found])}'`;
}

/** The tests of a condition's text form, or null where filters cannot show it (`or`, `not`, other operators). */
export function read(text, fields) {
  const tests = new Map();
  if (!text.trim()) return tests;
  const tokens = tokensOf(text);
  if (!tokens) return null;
  const known = new Map(fields.filter((field) => field.filter).map((field) => [field.name, field]));
  do {
    if (!readTest(tokens, known, tests)) return null;
  } while (took(tokens, "and"));
  return tokens.length ? null : tests;
}

function readTest(tokens, known, tests) {
  const open = took(tokens, "(");
  const found = readOne(tokens, known);
  if (!found) return false;
  while (open && took(tokens, "or")) {
    const other = readOne(tokens, known);
    if (!other?.test.values || other.name !== found.name || !found.test.values) return false;
    found.test.values.push(...other.test.values);
  }
  const before = tests.get(found.name) ?? {};
  if (Object.keys(before).length && !isOtherEnd(before, found.test)) return false;
  tests.set(found.name, { ...before, ...found.test });
  return !open || took(tokens, ")");
}

// A range's two ends are two tests of one field; nothing else may come twice.
const isOtherEnd = (before, test) => ["from to", "to from"].includes([...Object.keys(before), ...Object.keys(test)].join(" "));

function readOne(tokens, known) {
  const field = known.get(tokens.shift()?.name);
  const test = field && readOperand(tokens, field, tokens.shift()?.word);
  return test ? { name: field.name, test } : null;
}

function readOperand(tokens, field, operator) {
  if (operator === "in" && field.filter === "choice" && !isList(field)) {
    const values = [];
    if (!took(tokens, "(")) return null;
    do values.push(tokens.shift()?.value);
    while (took(tokens, ","));
    return took(tokens, ")") && !values.includes(undefined) ? { values } : null;
  }
  const value = tokens.shift()?.value;
  if (value === undefined) return null;
  const key = `${field.filter} ${operator}`;
  if (key === "choice contains" && isList(field)) return { values: [value] };
  if (key === "choice =" && !isList(field)) return { values: [value] };
  if (key === "flag =" && typeof value === "boolean") return { is: value };
  if (key === "words matches") return { words: value };
  if (key === "range >=") return { from: value };
  if (key === "range <=") return { to: value };
  return null;
}

function tokensOf(text) {
  const tokens = [];
  const rest = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < rest.length) {
    const found = TOKEN.exec(rest);
    if (!found) return null;
    tokens.push({ ...token(found.groups), end: TOKEN.lastIndex });
  }
  return tokens;
}

function token({ number, name, text, sign }) {
  if (number !== undefined) return { value: Number(number) };
  if (text !== undefined) return { value: unquoted(text) };
  if (sign !== undefined) return { word: sign === "==" ? "=" : sign };
  const word = name.toLowerCase();
  return { name, word, value: { true: true, false: false }[word] };
}

function unquoted(text) {
  const doubled = text[0] === "'" ? /''|\\(.)/gs : /""|\\(.)/gs;
  return text.slice(1, -1).replace(doubled, (found, escaped) => (escaped ? (UNESCAPES[escaped] ?? escaped) : found[0]));
}

function took(tokens, word) {
  if (tokens[0]?.word !== word) return false;
  tokens.shift();
  return true;
}
