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
