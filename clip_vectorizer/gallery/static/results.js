// Searches without a reload. The address stays the whole state: a visit fetches it, and puts its parts into this page.
import { addCounts } from "./histogram.js";
import { appendCards, findCard, hold, listCards, readSheets, refresh } from "./sheets.js";
import { describeCount, isSearch, makePath } from "./state.js";

const PATIENCE = 150; // milliseconds before a search counts as slow: a shorter flicker only disturbs
const AWAY = "The gallery does not answer: it may have ended, or the network is away.";
const form = document.querySelector("#search");
const page = document.querySelector("#page");
const listeners = []; // called with new cards, and whether they replace all others
const entered = []; // called before another search is shown, or why it failed
let turn = new AbortController(); // of the last visit: the next one aborts all that it began
let busy = false; // whether a search or another page is in flight
let known = new Set(); // ids on the page
let address = location.pathname + location.search;

export const onCards = (listener) => listeners.push(listener);
export const onEnter = (listener) => entered.push(listener);
export const readForm = () => makePath([...new FormData(form)]);

// Open the search of `path`. `kept`: the place to return to; `focus`: "cards" or "chips", where the key or click was.
export async function visit(path, { kept = null, focus = "" } = {}) {
  turn.abort();
  const mine = (turn = new AbortController());
  busy = true;
  const typed = form.elements.q.value;
  const slow = setTimeout(showLoading, PATIENCE);
  try {
    const found = await fetchParts(path, "search", mine.signal);
    clearTimeout(slow);
    enter(path, kept);
    showVisit(found, typed);
    await restore(kept ?? {}, mine);
    moveFocus(focus, kept?.card);
  } catch (error) {
    if (!mine.signal.aborted) {
      enter(path, kept);
      showFailure(error, path);
    }
  } finally {
    clearTimeout(slow);
    if (turn === mine) end();
  }
  if (turn === mine) await refreshFacets(mine.signal);
}

// The address changes with what the page shows, not before. Back and forward have changed it already.
function enter(path, kept) {
  if (path !== address && !kept) {
    savePlace();
    history.pushState(null, "", path);
  }
  address = path;
  for (const listener of entered) listener();
}

function end() {
  busy = false;
  page.removeAttribute("aria-busy");
  watchMore();
}

async function fetchParts(path, kind, signal) {
  const response = await fetch(path, { headers: { "X-Fragment": kind }, signal });
  const text = await response.text();
  if (!response.headers.get("content-type")?.startsWith("text/html")) throw new Error(text.trim());
  return new DOMParser().parseFromString(text, "text/html");
}

function showLoading() {
  page.setAttribute("aria-busy", "true");
  page.querySelector("#status")?.replaceChildren("Searching …");
}

function showVisit(found, typed) {
  document.title = found.title;
  for (const id of ["chips", "chosen", "kept", "command"]) {
    document.querySelector(`#${id}`).replaceChildren(...found.querySelector(`#${id}`).childNodes);
  }
  document.querySelector("#drop [name=address]").value = found.querySelector("#drop [name=address]").value;
  fillForm(found.querySelector("#search"), typed);
  showResults(found.querySelector("#page"));
}

// What was typed while the search ran stays.
function fillForm(given, typed) {
  for (const field of form.querySelectorAll("[name]:not([type=hidden])")) {
    const value = given.querySelector(`[name="${field.name}"]`);
    if (field.type === "checkbox") field.checked = value.checked;
    else if (field.name !== "q" || field.value === typed) field.value = value.value;
  }
  form.dispatchEvent(new Event("filled"));
}

// The status element stays, and gets another text: only so do screen readers announce it.
function showResults(found) {
  const [status, other] = [page.querySelector("#status"), found.querySelector("#status")];
  if (status && other) {
    status.replaceChildren(...other.childNodes);
    status.dataset.total = other.dataset.total;
    other.remove();
  }
  for (const child of [...page.childNodes]) if (child !== status || !other) child.remove();
  page.append(...found.childNodes);
  begin();
}

function begin() {
  readSheets(readTotal(), !page.querySelector("#more"));
  known = new Set(listCards().map(({ id }) => id));
  for (const listener of listeners) listener(listCards(), true);
}

function readTotal() {
  const total = page.querySelector("#status")?.dataset.total;
  return total ? Number(total) : null;
}

function showFailure(error, path) {
  const problem = document.createElement("div");
  problem.id = "problem";
  problem.tabIndex = -1;
  problem.setAttribute("role", "alert");
  problem.append(makeElement("p", error instanceof TypeError ? AWAY : error.message), makeLink("Try again", path));
  page.querySelector("#problem")?.remove();
  page.querySelector("#status")?.replaceChildren();
  page.prepend(problem);
}

function makeElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function makeLink(text, path) {
  const [line, link] = [makeElement("p", ""), makeElement("a", text)];
  line.className = "ways";
  link.href = path;
  line.append(link);
  return line;
}

// Focus that stood in what was replaced goes to what replaced it. `id`: of the card that had it before.
function moveFocus(focus, id) {
  const lost = document.activeElement === document.body || !document.activeElement?.isConnected;
  if ((!focus && !lost) || document.querySelector("dialog[open]")) return;
  const chip = focus === "chips" && document.querySelector("#chips a");
  const card = id && listCards().find((each) => each.id === id);
  (chip || (card && hold(card).querySelector(".picture")) || page.querySelector(".picture") || page.querySelector("#problem, #status"))?.focus({ preventScroll: true });
}

// ---- filters: their counts come after the results, which are what was asked for

async function refreshFacets(signal) {
  const facets = document.querySelector("#facets");
  try {
    const response = await fetch(`/facets${new URL(address, location.href).search}`, { signal });
    if (response.ok) showFacets(facets, new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    // the old counts stay; the next search gets new ones
  }
}

function showFacets(facets, found) {
  const open = [...facets.querySelectorAll("details[open]")].map((each) => each.closest(".facet").dataset.name);
  const focused = nameFocused(facets);
  facets.replaceChildren(...found.body.childNodes);
  for (const name of open) facets.querySelector(`[data-name="${name}"] details`)?.setAttribute("open", "");
  if (focused) findFacet(facets, focused)?.focus({ preventScroll: true });
  const chosen = facets.querySelectorAll("[aria-current]").length;
  document.querySelector("#fold > summary").textContent = chosen ? `Filters (${chosen})` : "Filters";
}

function nameFocused(facets) {
  const link = document.activeElement?.closest("a");
  return link && facets.contains(link) ? [link.closest(".facet").dataset.name, link.querySelector("bdi")?.textContent] : null;
}

function findFacet(facets, [name, value]) {
  const links = facets.querySelectorAll(`[data-name="${name}"] a`);
  return [...links].find((link) => link.querySelector("bdi")?.textContent === value) ?? links[0];
}

// ---- more pages

export async function showMore() {
  const mine = turn;
  if (busy) return;
  busy = true;
  await loadPage(mine.signal);
  if (turn === mine) busy = false;
  if (turn === mine && !page.querySelector("#more[data-failed]")) watchMore(); // a failed one waits for a click
}

// Append the next page. Returns whether there was one.
async function loadPage(signal) {
  const link = page.querySelector("#more");
  if (!link) return false;
  link.textContent = "Loading …";
  try {
    append(await fetchParts(link.href, "results", signal));
    return true;
  } catch (error) {
    seen.disconnect();
    link.dataset.failed = "";
    link.textContent = `Try again (${error instanceof TypeError ? AWAY : error.message})`;
    return false;
  }
}

function append(found) {
  const problem = found.querySelector("#problem p");
  if (problem) throw new Error(problem.textContent);
  const cards = [...found.querySelectorAll(".card")].filter((card) => !known.has(card.dataset.id));
  for (const card of cards) known.add(card.dataset.id);
  const more = found.querySelector(".more");
  page.querySelector(".more").remove();
  if (more) page.append(more);
  appendCards(cards, readTotal(), !more);
  addCounts(page, found);
  const ranked = Boolean(page.querySelector(".card .facts b"));
  page.querySelector("#status").textContent = describeCount(known.size, readTotal(), !more, ranked);
}

const seen = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) showMore();
}, { rootMargin: "1200px" });

function watchMore() {
  seen.disconnect();
  const link = page.querySelector("#more");
  if (link) seen.observe(link);
}

// ---- the place in the results, kept in the history

export function savePlace() {
  const card = findCard(document.activeElement?.closest(".card"))?.id;
  history.replaceState({ shown: known.size, y: Math.round(scrollY), card }, "");
}

async function restore({ shown = 0, y = 0 }, mine) {
  while (known.size < shown && turn === mine && (await loadPage(mine.signal)));
  if (turn !== mine) return;
  scrollTo(0, y);
  refresh();
}

export async function start() {
  history.scrollRestoration = "manual";
  begin();
  if (history.state?.shown) {
    busy = true;
    await restore(history.state, turn);
    moveFocus("", history.state?.card);
  }
  end();
}

let timer = 0;
addEventListener("scroll", () => {
  clearTimeout(timer);
  timer = setTimeout(() => busy || savePlace(), 120);
}, { passive: true });
addEventListener("pagehide", () => {
  savePlace();
  turn.abort();
});
addEventListener("popstate", (event) => {
  const path = location.pathname + location.search;
  if (path !== address && isSearch(path, location.href)) visit(path, { kept: event.state ?? {} });
});
