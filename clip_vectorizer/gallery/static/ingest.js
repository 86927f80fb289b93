// The line about a running clip-ingest, renewed while the page is looked at. Only its end is announced: a screen reader
// that read every number would say nothing else.
const OFTEN = 2000; // milliseconds
const SELDOM = 15000;

export function watchIngest() {
  const place = document.querySelector("#ingests");
  let timer = 0;
  async function look() {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") return;
    try {
      const response = await fetch(`/ingest${readPlace()}`);
      if (response.ok) show(place, new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#ingest"));
    } catch {
      // the gallery has ended, or will answer the next time
    }
    timer = setTimeout(look, pause());
  }
  const pause = () => (place.querySelector("[data-status=running]") ? OFTEN : SELDOM);
  timer = setTimeout(look, pause());
  document.addEventListener("visibilitychange", look);
}

function readPlace() {
  const all = new URLSearchParams(location.search);
  const kept = new URLSearchParams([...all].filter(([name]) => ["collection", "tenant"].includes(name)));
  return kept.size ? `?${kept}` : "";
}

// The link stays the same element, as the focus may be on it.
function show(place, found) {
  const old = place.querySelector("#ingest");
  const before = old?.dataset.status ?? "";
  if (old && found) {
    old.dataset.status = found.dataset.status;
    old.querySelector("span").textContent = found.querySelector("span").textContent;
  } else place.replaceChildren(...(found ? [found] : []));
  const status = found?.dataset.status ?? "";
  if (status && status !== before) document.querySelector("#ingest-news").textContent = found.querySelector("span").textContent;
}
