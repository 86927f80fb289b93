// The keyboard: one card at a time is in the order of Tab, and arrows move between cards.
import { onCards, visit } from "./results.js";
import { chooseAll, clear, extend, hasSelection, toggle } from "./selection.js";
import { countCards, countColumns, findCard, hold, listCards, onShow } from "./sheets.js";
import { move } from "./state.js";

const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
const LINKS = { s: ".like", "+": ".add", "-": ".subtract" };
const field = document.querySelector("#q");
const help = document.querySelector("#help");
let current = null; // the card that Tab reaches

export function watchKeys() {
  document.addEventListener("keydown", press);
  document.querySelector("#page").addEventListener("focusin", (event) => settle(findCard(event.target.closest(".card"))));
  document.querySelector("#keys").addEventListener("click", () => help.showModal());
  onShow((card) => reach(card, card === current));
  onCards((cards, fresh) => {
    if (fresh) current = null;
    if (!current) settle(cards[0]);
  });
}

function settle(card) {
  if (!card || card === current) return;
  if (current) reach(current, false);
  current = card;
  hold(card);
  reach(card, true);
}

function reach({ element }, reachable) {
  for (const control of element?.querySelectorAll("a, input") ?? []) control.tabIndex = reachable ? 0 : -1;
}

function press(event) {
  if (help.open || event.isComposing || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") escape(event, event.target.matches("input, select, textarea"));
  else if (!typing && act(event)) event.preventDefault();
}

function escape(event, inField) {
  if (hasSelection()) clear();
  else if (inField) leave(event.target);
  else return;
  event.preventDefault(); // a search field would lose its text
}

function leave(field) {
  if (current) current.element.querySelector(".picture").focus();
  else field.blur();
}

// Returns whether the key was for us.
function act(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) return key === "a" && Boolean(listCards().length) && (chooseAll(), true);
  if (key === "/") return field.focus(), field.select(), true;
  if (key === "?") return help.showModal(), true;
  if (MOVES.includes(key)) return go(event, key);
  const card = current?.element.contains(document.activeElement) ? current : null;
  if (!card) return false;
  if (key === "x") return toggle(card), true;
  if (LINKS[key]) return visit(card.element.querySelector(LINKS[key]).getAttribute("href"), { focus: "cards" }), true;
  return false;
}

function go(event, key) {
  const cards = listCards();
  const inside = current?.element.contains(document.activeElement);
  if (!cards.length || (!inside && document.activeElement !== document.body)) return false;
  if (!inside && (key === "Home" || key === "End")) return false;
  const from = cards.indexOf(current);
  const target = cards[inside ? move(countCards(), countColumns(), from, key) : Math.max(from, 0)];
  if (event.shiftKey) extend(target, current);
  settle(target);
  target.element.querySelector(".picture").focus();
  target.element.scrollIntoView({ block: "nearest" });
  return true;
}
