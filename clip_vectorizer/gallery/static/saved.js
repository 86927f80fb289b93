// The search that is saved is the one that is shown: searches without a reload change the address alone.
export function watchSaving() {
  const form = document.querySelector("#saved form");
  form?.addEventListener("submit", () => { form.elements.address.value = location.search.slice(1); });
}
