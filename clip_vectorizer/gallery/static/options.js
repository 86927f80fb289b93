// Options apply when they are changed; the least similarity gets a slider with its value beside it.
import { onCards, readForm, visit } from "./results.js";
import { listCards, onShow } from "./sheets.js";

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
  let least = 0; // that was not applied yet
  Object.assign(slider, { type: "range", min: "0", max: "1", step: "0.01" });
  slider.setAttribute("aria-label", "Least similarity, as a slider");
  follow(number, slider);
  slider.addEventListener("input", () => {
    number.value = Number(slider.value) ? slider.value : "";
    least = Number(slider.value);
    for (const card of listCards()) dim(card, least);
  });
  slider.addEventListener("change", () => number.value === "" && visit(readForm()));
  number.addEventListener("input", () => follow(number, slider));
  onShow((card) => least && dim(card, least));
  onCards((_, fresh) => { if (fresh) least = 0; });
  number.closest("label").after(slider);
  return slider;
}

function follow(number, slider) {
  slider.value = number.value || 0;
}

// While the slider moves, what it would leave out is dimmed.
function dim({ element }, least) {
  const similarity = element?.querySelector(".facts b");
  element?.classList.toggle("weak", Boolean(similarity) && Number(similarity.textContent) < least);
}
