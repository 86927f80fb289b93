// The page works without this file, which adds: searches without a reload, an endless list, pictures that are dropped or
// pasted, the keyboard, a selection. Each is a module; the address stays the whole state.
import { watchIngest } from "./ingest.js";
import { watchKeys } from "./keys.js";
import { watchOptions } from "./options.js";
import { takePictures } from "./pictures.js";
import { readForm, savePlace, showMore, start, visit } from "./results.js";
import { watchSaving } from "./saved.js";
import { watchSelection } from "./selection.js";
import { isSearch } from "./state.js";

const form = document.querySelector("#search");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  visit(readForm());
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link.id === "more") showMore();
  else if (isSearch(link.href, location.href)) visit(link.getAttribute("href"), { focus: place(link) });
  else return savePlace();
  event.preventDefault();
});

function place(link) {
  return link.closest("#chips") ? "chips" : "";
}

watchSelection();
watchKeys();
watchOptions(form);
takePictures();
watchSaving();
watchIngest();
start();
