// Results of the page: a new search is a visit; further pages are appended as fragments of their own addresses.
const FRAGMENT = { "X-Fragment": "results" };
let loading = null;

export function visit(path) {
  location.assign(path);
}

export async function showMore() {
  const link = document.querySelector("#more");
  if (!link || loading) return;
  loading = new AbortController();
  link.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(link.href, { headers: FRAGMENT, signal: loading.signal });
    append(await parse(response));
  } catch (error) {
    link.textContent = "More (the last try failed)";
    link.removeAttribute("aria-busy");
  } finally {
    loading = null;
  }
}

async function parse(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function append(page) {
  const list = document.querySelector("#results");
  const known = new Set([...list.children].map((card) => card.dataset.id));
  for (const card of page.querySelectorAll(".card")) if (!known.has(card.dataset.id)) list.append(card);
  document.querySelector(".more")?.remove();
  const more = page.querySelector(".more") ?? page.querySelector("#problem");
  if (more) list.after(more);
  watchMore();
}

const seen = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) showMore();
}, { rootMargin: "800px" });

export function watchMore() {
  seen.disconnect();
  const link = document.querySelector("#more");
  if (link) seen.observe(link);
}
