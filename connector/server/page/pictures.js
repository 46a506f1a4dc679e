// Pictures from the visitor: picked, pasted or dropped; large ones are made smaller before they travel.

import { byId } from "./elements.js";

const LARGE = 2 * 1024 * 1024; // bytes; a phone's photo is sent again with every turn of the slider
const SIDE = 1600; // pixels; more than any model looks at
let inside = 0; // "dragenter" and "dragleave" come for every element that the pointer crosses

/** Calls `take` with {file, preview} or {address}, `refuse` with words about what is no picture. */
export function watchPictures(take, refuse) {
  const offer = async (file) => {
    if (file.type && !file.type.startsWith("image/")) return refuse(`“${file.name}” is no picture.`);
    const small = await smaller(file);
    return take({ file: small, preview: URL.createObjectURL(small) });
  };

  byId("pick").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", (event) => {
    if (event.target.files.length) offer(event.target.files[0]);
    event.target.value = ""; // the same file may be picked again
  });

  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    offer(file);
  });

  addEventListener("dragenter", (event) => {
    inside += 1;
    byId("drop").hidden = !brings(event);
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) leave();
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    leave();
    const [file] = event.dataTransfer.files;
    const address = event.dataTransfer.getData("text/uri-list").split(/\r?\n/)[0];
    if (file) offer(file);
    else if (/^https?:/i.test(address)) take({ address });
    else if (brings(event)) refuse("There was no picture in what was dropped.");
  });
}

const brings = (event) => ["Files", "text/uri-list"].some((type) => event.dataTransfer.types.includes(type));

function leave() {
  inside = 0;
  byId("drop").hidden = true;
}

/** The picture at most SIDE pixels long as a JPEG, where it is large and this browser can read it; else itself. */
async function smaller(file) {
  if (file.size <= LARGE) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file; // the server reads more formats than a browser, and says what it cannot read
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const context = canvas.getContext("2d");
  [context.fillStyle, context.imageSmoothingQuality] = ["#fff", "high"];
  context.fillRect(0, 0, canvas.width, canvas.height); // what is see-through becomes white, as it does at the server
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return blob ? new File([blob], file.name, { type: blob.type }) : file;
}
