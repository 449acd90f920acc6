// Keeps what is marked with data-live up to date: asks for the page's own address again and puts its parts in place.
// Nothing is replaced that the reader is using: a field with the focus, a selection, a part that was unfolded.
"use strict";

(() => {
  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  if (parts().length === 0) return;

  const switchButton = document.getElementById("live-switch");
  const state = document.getElementById("live-state");
  let isPaused = false;
  let isAsking = false;
  let failures = 0;

  const isUsed = (part) => {
    const focus = document.activeElement;
    if (focus !== null && focus !== document.body && part.contains(focus)) return true;
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  const opened = (part) => new Set([...part.querySelectorAll("details[open][id]")].map((one) => one.id));

  const put = (fresh) => {
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (next === null || next.outerHTML === part.dataset.shown || isUsed(part)) continue;
      const open = opened(part);
      const shown = next.outerHTML;
      const adopted = document.importNode(next, true);
      for (const one of adopted.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = true;
      part.replaceWith(adopted);
      adopted.dataset.shown = shown;
      document.dispatchEvent(new CustomEvent("live", { detail: adopted }));
    }
  };

  const tell = (words, isBad) => {
    if (state === null) return;
    state.textContent = words;
    state.classList.toggle("bad", isBad);
  };

  const ask = async () => {
    if (isPaused || isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error", cache: "no-store" });
      if (!answer.ok) throw new Error(`${answer.status}`);
      put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      failures = 0;
      tell("live", false);
    } catch {
      failures += 1;
      if (failures > 1) tell("the router does not answer", true);
    } finally {
      isAsking = false;
    }
  };

  if (switchButton !== null) {
    switchButton.hidden = false;
    switchButton.addEventListener("click", () => {
      isPaused = !isPaused;
      switchButton.textContent = isPaused ? "Go on" : "Pause";
      tell(isPaused ? "paused" : "live", false);
      ask();
    });
  }
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, 2000);
  tell("live", false);
})();
