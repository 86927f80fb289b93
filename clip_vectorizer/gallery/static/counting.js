// In pages whose filters take long to count: fetches them when they are there. Without scripts, a reload shows them.
const place = document.querySelector("#counting").parentElement;
const response = await fetch(`/facets${location.search}`);
if (response.ok && place.querySelector("#counting")) {
  place.replaceChildren(...new DOMParser().parseFromString(await response.text(), "text/html").body.childNodes);
}
