// Options apply when they are changed; the least similarity gets a slider with its value beside it.
import { readForm, visit } from "./results.js";

export function watchOptions(form) {
  const number = form.querySelector("#threshold");
  const slider = makeSlider(number);
  form.querySelector("#options").addEventListener("change", (event) => {
    if (event.target !== slider || number.value !== "") visit(readForm());
  });
  form.addEventListener("filled", () => follow(number, slider));
}

function makeSlider(number) {
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: "0", max: "1", step: "0.01" });
  slider.setAttribute("aria-label", "Least similarity, as a slider");
  follow(number, slider);
  slider.addEventListener("input", () => {
    number.value = Number(slider.value) ? slider.value : "";
    dim(Number(slider.value));
  });
  slider.addEventListener("change", () => number.value === "" && visit(readForm()));
  number.addEventListener("input", () => follow(number, slider));
  number.closest("label").after(slider);
  return slider;
}

function follow(number, slider) {
  slider.value = number.value || 0;
}

// While the slider moves, what it would leave out is dimmed.
function dim(least) {
  for (const card of document.querySelectorAll("#page .card")) {
    const similarity = card.querySelector(".facts b");
    card.classList.toggle("weak", similarity !== null && Number(similarity.textContent) < least);
  }
}
