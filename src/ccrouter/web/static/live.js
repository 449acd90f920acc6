// Keeps what is marked with data-live up to date: asks for the page's own address again and puts its parts in place.
// Nothing is replaced that the reader is using: a field with the focus, a selection, a picture under the pointer; what
// was unfolded stays so. Whoever changes a part hears of it by the event "live" of the document.
"use strict";

(() => {
  const EVERY = 2000; // milliseconds
  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  if (parts().length === 0) return;

  const switchButton = document.getElementById("live-switch");
  const state = document.getElementById("live-state");
  const shown = new Map(parts().map((part) => [part.id, part.outerHTML]));
  let isPaused = false;
  let isAsking = false;
  let failures = 0;

  const isUsed = (part) => {
    const focus = document.activeElement;
    if (focus !== null && focus !== document.body && part.contains(focus)) return true;
    if (part.matches("figure:hover")) return true;
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  const put = (fresh) => {
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (next === null || next.outerHTML === shown.get(part.id) || isUsed(part)) continue;
      shown.set(part.id, next.outerHTML);
      const open = new Set([...part.querySelectorAll("details[open][id]")].map((one) => one.id));
      const adopted = document.importNode(next, true);
      for (const one of adopted.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = true;
      part.replaceWith(adopted);
      document.dispatchEvent(new CustomEvent("live", { detail: adopted }));
    }
  };

  const tell = (words, kind) => {
    if (state === null || state.textContent === words) return;
    state.textContent = words;
    state.className = kind;
  };

  const ask = async () => {
    if (isPaused || isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected) return location.reload(); // signed out: the form is what there is to see
      if (!answer.ok) throw new Error(`${answer.status}`);
      const text = await answer.text();
      if (isPaused) return undefined;
      put(new DOMParser().parseFromString(text, "text/html"));
      failures = 0;
      tell("live", "");
    } catch {
      failures += 1;
      if (failures > 1) tell("the router does not answer", "bad");
    } finally {
      isAsking = false;
    }
    return undefined;
  };

  if (switchButton !== null) {
    switchButton.hidden = false;
    switchButton.addEventListener("click", () => {
      isPaused = !isPaused;
      switchButton.textContent = isPaused ? "Go on" : "Pause";
      tell(isPaused ? "paused" : "live", isPaused ? "paused" : "");
      ask();
    });
  }
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, EVERY);
  tell("live", "");
})();
