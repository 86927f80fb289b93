// Cards that are chosen by click, key or range, and what can be done with them.
import { onWake } from "./far.js";
import { listCards, onCards, visit } from "./results.js";
import { listRange, makePath } from "./state.js";

const bar = document.querySelector("#selection");
const chosen = new Map(); // id -> path
let anchor = ""; // where a range begins

export const hasSelection = () => chosen.size > 0;

export function toggle(card) {
  anchor = card.dataset.id;
  choose([card], !chosen.has(anchor));
}

// Choose all cards from the last one that was chosen to this one.
export function extend(card, from = null) {
  const cards = listCards();
  if (!anchor || !chosen.size) anchor = (from ?? card).dataset.id;
  const range = new Set(listRange(cards.map((each) => each.dataset.id), anchor, card.dataset.id));
  choose(cards, false);
  choose(cards.filter((each) => range.has(each.dataset.id)), true);
}

export const chooseAll = () => choose(listCards(), true);

export function clear() {
  chosen.clear();
  anchor = "";
  for (const card of listCards()) mark(card, false);
  show();
}

function choose(cards, on) {
  for (const card of cards) {
    if (on) chosen.set(card.dataset.id, card.dataset.path);
    else chosen.delete(card.dataset.id);
    mark(card, on);
  }
  show();
}

function mark(card, on) {
  card.classList.toggle("chosen", on);
  const box = card.querySelector(".pick input");
  if (box && box.checked !== on) box.checked = on;
}

function show() {
  bar.hidden = !chosen.size;
  document.body.classList.toggle("selecting", chosen.size > 0);
  bar.querySelector("#picked").textContent = chosen.size ? `${chosen.size.toLocaleString("en")} selected` : "";
}

export function watchSelection() {
  document.querySelector("#page").addEventListener("click", (event) => {
    const box = event.target.closest(".pick input");
    const card = box?.closest(".card");
    if (!card) return;
    if (event.shiftKey && anchor) extend(card);
    else toggle(card);
  });
  bar.querySelector("#clear").addEventListener("click", clear);
  bar.querySelector("#similar").addEventListener("click", () => visit(makePath([...chosen].map(([id, path]) => ["like", path || id]))));
  bar.querySelector("#copy").addEventListener("click", copyPaths);
  onCards((cards, fresh) => fresh && clear());
  onWake((card) => mark(card, chosen.has(card.dataset.id)));
}

async function copyPaths() {
  const said = bar.querySelector("#picked");
  try {
    await navigator.clipboard.writeText([...chosen.values()].join("\n"));
    said.textContent = `${chosen.size.toLocaleString("en")} paths copied`;
  } catch {
    said.textContent = "the browser did not allow it: copy needs https:// or localhost";
  }
}
