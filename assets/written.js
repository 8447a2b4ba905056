// The button of a code block copies the code below it.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy-code]");
  const code = button?.closest(".code")?.querySelector("pre")?.textContent;
  if (code !== undefined) window.studio.copy(code, button.dataset.done);
});
