// Cards that are chosen by click, key or range, and what can be done with them.
import { onCards, visit } from "./results.js";
import { findCard, listCards, onShow } from "./sheets.js";
import { listRange, makePath } from "./state.js";

const bar = document.querySelector("#selection");
const chosen = new Map(); // id -> path
let anchor = ""; // where a range begins

export const hasSelection = () => chosen.size > 0;

export function toggle(card) {
  anchor = card.id;
  choose([card], !chosen.has(anchor));
}

// Choose all cards from the last one that was chosen to this one.
export function extend(card, from = null) {
  const cards = listCards();
  if (!anchor || !chosen.size) anchor = (from ?? card).id;
  const range = new Set(listRange(cards.map(({ id }) => id), anchor, card.id));
  choose(cards, false);
  choose(cards.filter(({ id }) => range.has(id)), true);
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
    if (on) chosen.set(card.id, card.path);
    else chosen.delete(card.id);
    mark(card, on);
  }
  show();
}

function mark({ element }, on) {
  element?.classList.toggle("chosen", on);
  const box = element?.querySelector(".pick input");
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
    const card = box && findCard(box.closest(".card"));
    if (!card) return;
    if (event.shiftKey && anchor) extend(card);
    else toggle(card);
  });
  bar.querySelector("#clear").addEventListener("click", clear);
  bar.querySelector("#similar").addEventListener("click", () => visit(makePath([...chosen].map(([id, path]) => ["like", path || id]))));
  bar.querySelector("#copy").addEventListener("click", copyPaths);
  onCards((cards, fresh) => fresh && clear());
  onShow((card) => mark(card, chosen.has(card.id)));
  bar.addEventListener("formdata", ({ formData }) => fill(formData));
}

// What is sent is all that is chosen, in the order of the list: the boxes of cards that are away are in no form.
function fill(data) {
  data.delete("id");
  for (const { id } of listCards()) if (chosen.has(id)) data.append("id", id);
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
