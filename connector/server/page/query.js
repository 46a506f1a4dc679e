// What is searched for: one plain value, and its forms in the address bar and in a request.
//
// `picture` is {file, preview} or {address}; `weight` is the picture's share in percent; `where` a condition's text.

export const NOTHING = Object.freeze({ text: "", picture: null, like: null, unlike: [], weight: 50, where: "", schema: "" });

export const hasPicture = (query) => query.picture !== null || query.like !== null;
export const asks = (query) => Boolean(query.text.trim()) || hasPicture(query) || query.unlike.length > 0;
export const mixes = (query) => Boolean(query.text.trim()) && hasPicture(query);

/** The query that an address says. A picture's bytes are in no address; its web address is. */
export function fromAddress(search) {
  const said = new URLSearchParams(search);
  const [image, text] = (said.get("weights") ?? "").split(",").map(Number);
  const address = said.get("image");
  return {
    text: said.get("text") ?? "",
    picture: address && /^https?:/i.test(address) ? { address } : null,
    like: said.get("like") || null,
    unlike: said.getAll("unlike").filter(Boolean),
    weight: image >= 0 && text >= 0 && image + text > 0 ? Math.round((100 * image) / (image + text)) : NOTHING.weight,
    where: said.get("where") ?? "",
    schema: said.get("schema") ?? "",
  };
}

/** The address of a query, by the names that the API uses. */
export function toAddress(query) {
  const said = new URLSearchParams();
  if (query.text.trim()) said.set("text", query.text.trim());
  if (query.picture?.address) said.set("image", query.picture.address);
  if (query.like !== null) said.set("like", query.like);
  for (const id of query.unlike) said.append("unlike", id);
  if (query.weight !== NOTHING.weight) said.set("weights", `${query.weight / 100},${(100 - query.weight) / 100}`);
  if (query.where) said.set("where", query.where);
  if (query.schema) said.set("schema", query.schema);
  const text = said.toString();
  return text ? `?${text}` : location.pathname;
}

/** The body of POST /search: JSON, or a form where a picture's bytes come along. */
export function body(query, offset, limit) {
  const fields = { limit, offset };
  if (query.text.trim()) fields.text = query.text.trim();
  if (query.picture?.address) fields.image = query.picture.address;
  if (query.like !== null) fields.like = query.like;
  if (query.unlike.length) fields.unlike = query.unlike;
  if (mixes(query)) fields.weights = { image: query.weight / 100, text: (100 - query.weight) / 100 };
  if (query.where) fields.where = query.where;
  if (query.schema) fields.schema = query.schema;
  return query.picture?.file ? form(fields, query.picture.file) : JSON.stringify(fields);
}

function form(fields, file) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, typeof value === "string" ? value : JSON.stringify(value));
  data.set("image", file, file.name || "picture");
  return data;
}
