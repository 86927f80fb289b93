// What these pages do better with JavaScript: copy a text by a button.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard; // only in a secure context: loopback or HTTPS
  button.addEventListener("click", async () => {
    const label = button.firstChild;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      label.data = "Copied";
    } catch {
      label.data = "Select the text to copy it";
    }
    setTimeout(() => { label.data = "Copy"; }, 2000);
  });
}

// A box that is dragged over the picture with a mouse or a pen fills the form and sends it. A finger scrolls.
const area = document.querySelector("#cut-area");
const form = document.querySelector("#cut");
if (area && form) watchDrag(area, form);

function watchDrag(area, form) {
  const image = area.querySelector("img");
  const svg = document.querySelector("#dragged");
  let start = null;
  form.querySelector(".dragging").hidden = false;
  area.classList.add("draggable");
  area.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0 || !image.naturalWidth) return;
    event.preventDefault();
    start = findShares(image, event);
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => start && fill(form, svg, start, findShares(image, event), image));
  area.addEventListener("pointercancel", () => { start = null; });
  area.addEventListener("pointerup", (event) => {
    if (!start) return;
    const end = findShares(image, event);
    const isBox = Math.abs(end.x - start.x) > 0.02 && Math.abs(end.y - start.y) > 0.02; // less is a click
    start = null;
    if (isBox) form.requestSubmit();
  });
}

// Where in the picture a pointer is: 0..1 from its top left. The picture may be smaller than its element.
function findShares(image, event) {
  const { left, top, width, height, w, h } = findPlace(image);
  const clamp = (share) => Math.min(1, Math.max(0, share));
  return { x: clamp((event.clientX - left - (width - w) / 2) / w), y: clamp((event.clientY - top - (height - h) / 2) / h) };
}

function findPlace(image) {
  const { left, top, width, height } = image.getBoundingClientRect();
  const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  return { left, top, width, height, w: image.naturalWidth * scale, h: image.naturalHeight * scale };
}

function fill(form, svg, start, end, image) {
  const box = { x0: Math.min(start.x, end.x), y0: Math.min(start.y, end.y), x1: Math.max(start.x, end.x), y1: Math.max(start.y, end.y) };
  for (const [name, share] of Object.entries(box)) form.elements[name].value = (100 * share).toFixed(1);
  svg.setAttribute("viewBox", `0 0 ${image.naturalWidth} ${image.naturalHeight}`);
  const place = { x: box.x0 * image.naturalWidth, y: box.y0 * image.naturalHeight, width: (box.x1 - box.x0) * image.naturalWidth, height: (box.y1 - box.y0) * image.naturalHeight };
  for (const [name, value] of Object.entries(place)) svg.firstElementChild.setAttribute(name, value);
}
