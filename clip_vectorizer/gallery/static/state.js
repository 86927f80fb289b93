// Pure functions: no page, no network. tests/gallery/test_state.py runs them.

// The address of a search, from the fields of a form: [name, value]. Empty fields are left out.
export function makePath(fields) {
  const kept = new URLSearchParams(fields.filter(([, value]) => typeof value === "string" && value.trim()));
  return kept.size ? `/?${kept}` : "/";
}

// Whether a link leads to a search of this page. Another collection or tenant is another page.
export function isSearch(href, base) {
  const [url, here] = [new URL(href, base), new URL(base)];
  const isSame = (name) => (url.searchParams.get(name) || "") === (here.searchParams.get(name) || "");
  return url.origin === here.origin && url.pathname === "/" && !url.hash && ["collection", "tenant"].every(isSame);
}

// Where a key leads from card `index`. `sizes`: cards in each section, each of which begins a row of its own.
export function move(sizes, columns, index, key) {
  const last = sizes.reduce((sum, size) => sum + size, 0) - 1;
  if (last < 0) return -1;
  if (key === "ArrowRight") return Math.min(index + 1, last);
  if (key === "ArrowLeft") return Math.max(index - 1, 0);
  if (key === "Home") return 0;
  if (key === "End") return last;
  return moveRow(listRows(sizes, columns), index, key === "ArrowDown" ? 1 : -1);
}

// The rows of a sheet, [first card, number of cards].
export function listRows(sizes, columns) {
  const rows = [];
  let start = 0;
  for (const size of sizes) {
    for (let first = 0; first < size; first += columns) rows.push([start + first, Math.min(columns, size - first)]);
    start += size;
  }
  return rows;
}

function moveRow(rows, index, by) {
  const row = rows.findIndex(([first, count]) => index < first + count);
  const target = rows[row + by];
  if (!target) return index;
  return target[0] + Math.min(index - rows[row][0], target[1] - 1);
}

// All from `anchor` to `target`, in either order.
export function listRange(ids, anchor, target) {
  const ends = [ids.indexOf(anchor), ids.indexOf(target)];
  return ends.includes(-1) ? [target] : ids.slice(Math.min(...ends), Math.max(...ends) + 1);
}

// The status line. `total`: null where only the last page shows it; `ended`: whether this was the last page.
export function describeCount(shown, total, ended, ranked) {
  const number = (value) => value.toLocaleString("en");
  const order = ranked ? ", best first" : "";
  if (ended) return `${number(shown)} of ${number(shown)} ${shown === 1 ? "image" : "images"}${order}`;
  return total === null ? `The ${number(shown)} best images` : `${number(shown)} of ${number(total)} images${order}`;
}

// The sentences of labels.html for all images that are loaded.
export const describeLabelled = (count) => `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"} labelled`;
export const describeUnlabelled = (count) => `${count.toLocaleString("en")} of the images could not be labelled.`;

// What a clipboard or a drop has for us: { file }, { problem }, or null for anything without a picture.
// `files`: [{ type }]; `html`: its text/html, which is all that some programs give of a picture.
export function findPicture(files, html) {
  const file = files.find((each) => each.type.startsWith("image/"));
  if (file) return { file };
  if (files.length) return { problem: "this file is no picture; choose a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file" };
  const source = /<img\b[^>]*?\bsrc\s*=\s*["']?([^"'\s>]+)/i.exec(html ?? "")?.[1];
  if (!source) return null;
  const bytes = readDataAddress(source);
  if (bytes) return { file: new File([bytes.data], "pasted picture", { type: bytes.type }) };
  return { problem: "only the address of the picture came with it, and the gallery opens none; save the picture, and choose its file" };
}

// The bytes of data:image/...;base64,..., null for another address.
export function readDataAddress(address) {
  const parts = /^data:(image\/[\w.+-]+);base64,([A-Za-z0-9+/=]+)$/.exec(address);
  if (!parts) return null;
  try {
    return { type: parts[1], data: Uint8Array.from(atob(parts[2]), (letter) => letter.charCodeAt(0)) };
  } catch {
    return null;
  }
}

// The sentence for a file that is too large, "" for one that is not.
export function checkSize(size, most) {
  return size > most ? `the picture is larger than ${Math.floor(most / 2 ** 20)} MB; make it smaller and send it again` : "";
}
