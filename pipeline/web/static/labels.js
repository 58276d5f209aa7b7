"use strict";

// Keys of the page that labels. They press its own buttons and follow its links, so that each also works by hand.
(() => {
  const form = document.querySelector(".answering");
  if (!form) return;
  const field = form.querySelector("[data-label]");
  const press = (selector) => { const found = document.querySelector(selector); if (found) found.click(); return found; };
  field.focus();
  field.select();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.closest("input, textarea, select");
    const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
    let done = null;
    if (digit && (event.altKey || !isTyping) && !event.shiftKey) done = press('.answering [data-word="' + digit[1] + '"]');
    else if (event.altKey) return;
    else if (event.key === "Enter" && event.shiftKey && isTyping && form.contains(isTyping)) { press("[data-prev]"); done = form; }
    else if (event.key === "Escape" && isTyping) { isTyping.blur(); done = form; }
    else if (event.key === "k" && !isTyping) done = press("[data-skip]");
    else if (event.key === "Enter" && event.target === document.body) { field.focus(); field.select(); done = form; }
    if (done) event.preventDefault();
  });
})();
