"use strict";

// Keys. They follow links that are on the page, so that each also works by hand.
const follow = (selector) => { const link = document.querySelector(selector); if (link) link.click(); return link; };
const isTyping = (element) => element.closest("input, textarea, select, [contenteditable]");
const KEYS = {
  "/": () => { const box = document.querySelector("[data-search]"); if (box) { box.focus(); box.select(); } return box; },
  "?": () => { const help = document.getElementById("help"); if (help && !help.open) help.showModal(); return help; },
  ArrowLeft: () => follow("[data-prev]"),
  ArrowRight: () => follow("[data-next]"),
  u: () => { const head = document.querySelector("[data-up]"); if (head) location.href = head.dataset.up; return head; },
  r: () => follow("[data-random]"),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (KEYS[event.key] && KEYS[event.key]()) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-help]")) KEYS["?"]();
  // A bin of the histogram shows the images that were drawn from it.
  const bin = event.target.closest("[data-bin]");
  if (bin) {
    const panel = bin.closest(".panel");
    for (const each of panel.querySelectorAll("[data-bin]")) {
      each.setAttribute("aria-pressed", String(each === bin));
      panel.querySelector("#" + each.getAttribute("aria-controls")).hidden = each !== bin;
    }
  }
});

// The sentence that explains a figure: when it is pointed at, tapped or focused.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("role", "tooltip");
document.body.append(tip);
let leaving = 0;
const hideTip = () => { leaving = setTimeout(() => { tip.hidden = true; }, 150); };
const showTip = (term) => {
  clearTimeout(leaving);
  tip.textContent = term.dataset.tip;
  if (term.dataset.term) {
    const more = document.createElement("a");
    more.href = document.body.dataset.words + "#" + term.dataset.term;
    more.textContent = "more";
    tip.append(" ", more);
  }
  tip.hidden = false;
  const box = term.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = Math.max(8, left) + scrollX + "px";
  tip.style.top = box.bottom + scrollY + 6 + "px";
};
for (const [shown, hidden] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  document.addEventListener(shown, (event) => {
    const term = event.target.closest("[data-tip]");
    if (term) showTip(term); else if (event.target.closest("#tip")) clearTimeout(leaving);
  });
  document.addEventListener(hidden, (event) => { if (event.target.closest("[data-tip], #tip")) hideTip(); });
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
