// The page works without this file. It searches without a reload, loads more while scrolling, and takes pictures that
// are dropped or pasted. The address stays the whole state.
import { showMore, visit, watchMore } from "./results.js";
import { takePictures } from "./pictures.js";

const form = document.querySelector("#search");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (String(value).trim()) fields.append(name, value);
  visit(fields.size ? `/?${fields}` : "/");
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#more") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    showMore();
  }
});

takePictures(document.querySelector("#drop"));
watchMore();
