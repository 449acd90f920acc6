// A button with data-copy="ID" puts the text of that element on the clipboard. Without scripts it stays hidden, and the
// text can be selected.
"use strict";

(() => {
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (source === null) return;
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      const selection = document.getSelection();
      selection.selectAllChildren(source); // where there is no clipboard, what is selected can be copied by key
      button.textContent = "Selected: copy it with your keyboard";
    }
    setTimeout(() => {
      button.textContent = words;
    }, 2500);
  };

  const show = (within) => {
    for (const button of within.querySelectorAll("button[data-copy]")) button.hidden = false;
  };

  show(document);
  document.addEventListener("live", (event) => show(event.detail));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button !== null) copy(button);
  });
})();
