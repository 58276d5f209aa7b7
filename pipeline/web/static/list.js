"use strict";

// Stars: neurons that are kept in this browser until the list is opened. Without a script each star opens a list of its neuron.
(() => {
  const KEY = "neurons.list";
  const MOST = 2000;
  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY) || "[]");
      return Array.isArray(kept) ? kept.filter((one) => typeof one === "string").slice(0, MOST) : [];
    } catch { return []; }
  };
  const write = (kept) => { try { localStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* a private window keeps nothing */ } };

  const show = () => {
    const kept = read();
    for (const star of document.querySelectorAll("[data-star]")) {
      star.setAttribute("role", "button");
      star.setAttribute("aria-pressed", String(kept.includes(star.dataset.star)));
    }
    const link = document.querySelector("[data-kept]");
    if (!link) return;
    const address = link.getAttribute("href").split("?")[0];
    link.href = kept.length ? address + "?list=" + kept.map((one) => encodeURIComponent(one).replace(/%(2F|3A)/g, decodeURIComponent)).join(";") : address;
    link.textContent = kept.length ? "List (" + kept.length + ")" : "List";
  };
  const toggle = (star) => {
    const kept = read();
    const place = kept.indexOf(star.dataset.star);
    if (place >= 0) kept.splice(place, 1); else if (kept.length < MOST) kept.push(star.dataset.star);
    write(kept);
    show();
  };

  document.addEventListener("click", (event) => {
    const star = event.target.closest("[data-star]");
    if (star && !event.ctrlKey && !event.metaKey) { event.preventDefault(); toggle(star); }
    const drop = event.target.closest("[data-drop]");
    if (drop) write(read().filter((one) => one !== drop.dataset.drop));
  });
  document.addEventListener("keydown", (event) => {
    const star = event.target.closest("[data-star]");
    if (star && event.key === " ") { event.preventDefault(); toggle(star); }
    else if (event.key === "s" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) {
      const own = document.querySelector(".steps [data-star]");
      if (own) toggle(own);
    }
  });
  addEventListener("storage", show); // another tab
  document.addEventListener("htmx:afterSettle", show);
  show();
})();
