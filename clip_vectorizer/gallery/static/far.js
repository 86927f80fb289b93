// Cards far from the window, in long lists: their contents are taken out of the page, as thousands of decoded pictures
// and the layout of as many links take a gigabyte. The cards themselves stay, in their size.
const MANY = 400; // cards up to which all keep their contents
const away = new Map(); // id of a card -> a fragment with its contents
const far = new Set(); // cards that are not near the window
const wakers = []; // called with each card whose contents came back
const page = document.querySelector("#page");

export const onWake = (listener) => wakers.push(listener);

export function forget() {
  away.clear();
  far.clear();
}

// Put the contents of a card back, if they were put away.
export function wake(card) {
  const contents = away.get(card.dataset.id);
  if (contents === undefined) return;
  away.delete(card.dataset.id);
  for (const picture of contents.querySelectorAll("img[data-src]")) picture.src = picture.dataset.src;
  card.append(contents);
  for (const listener of wakers) listener(card);
}

function sleep(card) {
  far.delete(card);
  if (away.has(card.dataset.id) || card.contains(document.activeElement)) return;
  const contents = document.createDocumentFragment();
  contents.append(...card.childNodes);
  for (const picture of contents.querySelectorAll("img")) {
    picture.dataset.src = picture.getAttribute("src") ?? picture.dataset.src;
    picture.removeAttribute("src"); // it comes back from the browser's cache
  }
  away.set(card.dataset.id, contents);
}

page.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => {
  if (!target.matches(".card")) return;
  if (skipped) far.add(target);
  else far.delete(target);
  if (!skipped) wake(target);
  else if (page.querySelector("#results").childElementCount > MANY) far.forEach(sleep);
}, true);
addEventListener("beforeprint", () => page.querySelectorAll(".card:empty").forEach(wake));
