// A picture that is chosen, dropped or pasted becomes a part of the search.
export function takePictures(form) {
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", () => input.files.length && send(form, input.files[0]));
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (file) { event.preventDefault(); send(form, file); }
  });
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); document.body.classList.add("dropping"); }
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) { event.preventDefault(); send(form, event.dataTransfer.files[0]); }
  });
}

async function send(form, file) {
  const fields = new FormData(form);
  fields.set("image", file, file.name || "pasted picture");
  const response = await fetch(form.action, { method: "POST", body: fields, headers: { "X-Fragment": "path" } });
  const answer = await response.json();
  if (answer.error) return show(form, answer.error);
  location.assign(answer.path);
}

function show(form, sentence) {
  let problem = document.querySelector("#problem");
  if (!problem) {
    problem = document.createElement("div");
    problem.id = "problem";
    problem.setAttribute("role", "alert");
    form.after(problem);
  }
  problem.textContent = sentence;
}
