// A picture that is chosen, dropped or pasted becomes a part of the search, with what is typed.
import { checkSize, findPicture } from "./state.js";
import { onEnter, readForm, visit } from "./results.js";

const form = document.querySelector("#drop");
const input = form.querySelector("input[type=file]");
const progress = form.querySelector("progress");
let dragged = null; // the card of this page that is being dragged

export function takePictures() {
  input.addEventListener("change", () => input.files.length && send(input.files[0]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files.length) send(input.files[0]);
  });
  document.addEventListener("paste", (event) => take(event, event.clipboardData));
  document.addEventListener("dragstart", (event) => { dragged = event.target.closest?.(".card") ?? null; });
  document.addEventListener("dragend", () => { dragged = null; });
  document.addEventListener("dragover", (event) => {
    if (!dragged && !hasPicture(event.dataTransfer)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", drop);
  onEnter(() => show(""));
}

const hasPicture = (data) => data.types.includes("Files") || data.types.includes("text/html");

function drop(event) {
  document.body.classList.remove("dropping");
  const card = dragged;
  dragged = null;
  if (!card) return take(event, event.dataTransfer);
  event.preventDefault();
  if (event.target.closest("header, #chips")) visit(card.querySelector(".add").getAttribute("href"));
}

function take(event, data) {
  if (!data || (event.type === "paste" && isTextPaste(event.target, data))) return;
  const found = findPicture([...data.files], data.getData("text/html"));
  if (!found) return;
  event.preventDefault();
  if (found.problem) show(found.problem);
  else send(found.file);
}

// Formatted text with a picture in it, pasted into a field, is a text.
const isTextPaste = (target, data) => target.matches?.("input, textarea") && data.getData("text/plain").trim() !== "";

function send(file) {
  const problem = checkSize(file.size, Number(form.dataset.most));
  if (problem) return show(problem);
  show("");
  const fields = new FormData();
  fields.set("address", readForm().slice(2));
  fields.set("image", file, file.name || "pasted picture");
  const request = new XMLHttpRequest(); // fetch reports no progress of what it sends
  request.open("POST", form.action);
  request.setRequestHeader("X-Fragment", "path");
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => { progress.value = loaded / total; });
  request.upload.addEventListener("load", () => progress.removeAttribute("value")); // now it is read and embedded
  request.addEventListener("load", () => finish(request.response ?? { error: `the gallery refused it (${request.status})` }));
  request.addEventListener("error", () => finish({ error: "the picture did not arrive; is the gallery still running? Send it again" }));
  progress.hidden = false;
  form.setAttribute("aria-busy", "true");
  request.send(fields);
}

function finish({ error, path }) {
  progress.hidden = true;
  form.removeAttribute("aria-busy");
  input.value = "";
  if (error) show(error);
  else visit(path);
}

function show(sentence) {
  let problem = form.parentElement.querySelector(".refused");
  if (!problem) {
    problem = document.createElement("p");
    problem.className = "refused";
    problem.setAttribute("role", "alert");
    form.after(problem);
  }
  problem.textContent = sentence;
  problem.hidden = !sentence;
}
