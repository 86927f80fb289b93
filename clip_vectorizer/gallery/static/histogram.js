// The counts of the labels that were typed: with each further page of results, its own are added.
import { describeLabelled, describeUnlabelled } from "./state.js";

// `page`: what is shown; `found`: the further page, counted alone.
export function addCounts(page, found) {
  const [table, more] = [page.querySelector("#histogram"), found.querySelector("#histogram")];
  if (!table || !more) return;
  const rows = [...table.querySelectorAll("tr")];
  const added = [...more.querySelectorAll("tr")].map(readCount);
  const counts = rows.map((row, index) => readCount(row) + (added[index] ?? 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  rows.forEach((row, index) => show(row, counts[index], total));
  table.caption.textContent = describeLabelled(total);
  table.dataset.failed = Number(table.dataset.failed) + Number(more.dataset.failed);
  page.querySelector("#unlabelled").hidden = table.dataset.failed === "0";
  page.querySelector("#unlabelled").textContent = describeUnlabelled(Number(table.dataset.failed));
}

const readCount = (row) => Number(row.querySelector(".count").textContent.replaceAll(",", ""));

function show(row, count, total) {
  const meter = row.querySelector("meter");
  [meter.max, meter.value] = [total || 1, count];
  row.querySelector(".count").textContent = count.toLocaleString("en");
}
