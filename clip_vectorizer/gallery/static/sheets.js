// The cards of a page, in its lists. Only those near the window are elements: thousands of cards take a gigabyte. The
// others are kept as the bytes of their text, as Chromium's string of it takes 11 kB, and these one. The grid has a row
// for each of them, so that the page stays as high.
const ROWS_AHEAD = 10; // rows that are elements above and below the window
const STEP = 2; // rows that come and go at once
const BATCH = 48; // cards that are made in one frame: a jump makes those in the window first
const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
const page = document.querySelector("#page");
const listeners = []; // called with each card that became an element
let sheets = []; // { list, cards, size }; `size`: of the whole list, -1 where it is not known
// { id, path, bytes, place, sheet, element, parsed }; `place`: in its sheet; `element`: null far from the window;
// `parsed`: of a page that has just come, the first element of the card
let all = [];
let grid = { columns: 1, pitch: 1 }; // `pitch`: pixels from row to row
let held = null; // the card that stays an element wherever the window is: it has the focus, or Tab reaches it
let printing = false;
let frame = 0;

export const listCards = () => all;
export const countCards = () => sheets.map(({ cards }) => cards.length);
export const countColumns = () => grid.columns;
export const onShow = (listener) => listeners.push(listener);
export const findCard = (element) => (element ? all.find((card) => card.element === element) : null);

// Read the lists that are in the page. `total`: images of all pages, null where it is not known; `ended`: none follow.
export function readSheets(total, ended) {
  watcher.disconnect();
  held = null;
  sheets = [...page.querySelectorAll(".sheet")].map((list) => ({ list, cards: [], size: 0 }));
  for (const sheet of sheets) addCards(sheet, [...sheet.list.children], true);
  grid = measure();
  count(total, ended);
  for (const card of all) introduce(card);
  for (const { list } of sheets) watcher.observe(list);
  refresh();
}

// Add the cards of a further page to the list.
export function appendCards(elements, total, ended) {
  const first = sheets[0].cards.length;
  addCards(sheets[0], elements, false);
  count(total, ended);
  refresh();
  for (const card of sheets[0].cards.slice(first)) card.parsed = null;
}

function addCards(sheet, elements, inPage) {
  for (const element of elements) {
    const { id, path } = element.dataset;
    const card = { id, path, bytes: encoder.encode(element.outerHTML), place: sheet.cards.length, sheet };
    sheet.cards.push({ ...card, element: inPage ? element : null, parsed: inPage ? null : element });
  }
}

function count(total, ended) {
  all = sheets.flatMap(({ cards }) => cards);
  for (const sheet of sheets) {
    sheet.size = ended || sheets.length > 1 ? sheet.cards.length : (total ?? -1);
    for (const { element } of sheet.cards) element?.setAttribute("aria-setsize", sheet.size);
  }
  setRows();
}

function setRows() {
  for (const { list, cards } of sheets) list.style.setProperty("--rows", Math.ceil(cards.length / grid.columns) || 1);
}

function measure() {
  if (!sheets.length) return grid;
  const style = getComputedStyle(sheets[0].list);
  const columns = style.gridTemplateColumns.split(" ").length;
  return { columns, pitch: parseFloat(style.gridAutoRows) + parseFloat(style.rowGap) };
}

// ---- which cards are elements

// Keep a card an element, and return that.
export function hold(card) {
  const before = held;
  held = card;
  if (!card.element) make([card]);
  if (before && before !== card) refreshSoon();
  return card.element;
}

// Make the cards near the window elements, and no others.
export function refresh() {
  cancelAnimationFrame(frame);
  frame = 0;
  const missing = sheets.flatMap(keepNear).sort((one, other) => one.away - other.away);
  make(missing.slice(0, printing ? missing.length : BATCH).map(({ card }) => card));
  if (missing.length > BATCH && !printing) refreshSoon();
}

function refreshSoon() {
  frame ||= requestAnimationFrame(refresh);
}

// Take the far cards of a sheet out of the page. Returns the near ones that are not in it, with their distance in rows.
function keepNear({ list, cards }) {
  const top = -list.getBoundingClientRect().top / grid.pitch; // the first row in the window
  const middle = top + innerHeight / grid.pitch / 2;
  const [first, last] = printing ? [0, cards.length] : findNear(top, cards.length);
  for (const card of cards) if (card.element && card !== held && (card.place < first || card.place >= last)) remove(card);
  return cards.slice(first, last).filter(({ element }) => !element)
    .map((card) => ({ card, away: Math.abs(Math.floor(card.place / grid.columns) - middle) }));
}

function findNear(top, count) {
  const first = Math.floor((top - ROWS_AHEAD) / STEP) * STEP * grid.columns;
  const last = Math.ceil((top + innerHeight / grid.pitch + ROWS_AHEAD) / STEP) * STEP * grid.columns;
  return [Math.min(Math.max(first, 0), count), Math.min(Math.max(last, 0), count)];
}

function remove(card) {
  card.element.remove();
  card.element = null;
}

function make(cards) {
  if (!cards.length) return;
  const absent = cards.filter(({ parsed }) => !parsed);
  const elements = absent.length ? parse(absent.map(({ bytes }) => decoder.decode(bytes)).join("")) : [];
  absent.forEach((card, index) => { card.parsed = elements[index]; });
  for (const card of cards.toSorted((one, other) => other.place - one.place)) {
    [card.element, card.parsed] = [card.parsed, null];
    card.sheet.list.insertBefore(card.element, findNext(card));
    introduce(card);
  }
}

const parse = (html) => [...new DOMParser().parseFromString(html, "text/html").body.children];

// The element before which a card is put in. Those after it are there already.
function findNext({ place, sheet }) {
  for (let next = place + 1; next < sheet.cards.length; next += 1) if (sheet.cards[next].element) return sheet.cards[next].element;
  return null;
}

function introduce(card) {
  put(card);
  card.element.setAttribute("aria-posinset", card.place + 1);
  card.element.setAttribute("aria-setsize", card.sheet.size);
  for (const listener of listeners) listener(card);
}

function put({ element, place }) {
  element.style.gridArea = `${Math.floor(place / grid.columns) + 1} / ${(place % grid.columns) + 1}`;
}

// ---- windows and paper of other sizes

// With more or fewer columns, all cards move: the first one in the window stays where it is.
function fit() {
  if (printing) return;
  const before = grid;
  grid = measure();
  if (grid.columns !== before.columns || grid.pitch !== before.pitch) {
    const anchor = findAnchor(before);
    setRows();
    for (const card of all) if (card.element) put(card);
    if (anchor) scrollTo(0, scrollY + anchor.card.sheet.list.getBoundingClientRect().top + findTop(anchor.card, grid) - anchor.top);
  }
  refresh();
}

const findTop = ({ place }, { columns, pitch }) => Math.floor(place / columns) * pitch;

// The first card whose row begins in the window, and where; null at the top of the page.
function findAnchor(before) {
  if (!scrollY) return null;
  for (const { list, cards } of sheets) {
    const { top } = list.getBoundingClientRect();
    const card = cards[Math.max(0, Math.ceil(-top / before.pitch)) * before.columns];
    if (card && top + findTop(card, before) < innerHeight) return { card, top: top + findTop(card, before) };
  }
  return null;
}

const watcher = new ResizeObserver(fit);
addEventListener("scroll", refreshSoon, { passive: true });
addEventListener("resize", refreshSoon);
addEventListener("beforeprint", () => setPrinting(true));
addEventListener("afterprint", () => setPrinting(false));

// Paper has all cards that are loaded.
function setPrinting(on) {
  printing = on;
  refresh();
}
