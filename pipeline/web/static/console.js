"use strict";

// The console: keys, the dictionary beside it, what was asked before (in this browser alone).
(() => {
  const form = document.querySelector("[data-ask]");
  const box = form.querySelector("textarea");
  const run = form.querySelector("[data-run]");
  const KEY = "neurons-queries", MOST = 30;

  const read = () => { try { const found = JSON.parse(localStorage.getItem(KEY)); return Array.isArray(found) ? found.filter((one) => typeof one === "string") : []; } catch { return []; } };
  const keep = (queries) => { try { localStorage.setItem(KEY, JSON.stringify(queries)); } catch { /* no storage: no history */ } };

  form.addEventListener("submit", () => {
    const query = box.value.trim();
    keep([query, ...read().filter((one) => one !== query)].slice(0, MOST));
    run.textContent = "Running …";
  });
  addEventListener("pageshow", () => { run.textContent = "Run"; });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) form.requestSubmit(); });

  const history = document.querySelector("[data-history]");
  const showHistory = () => {
    const queries = read();
    history.hidden = !queries.length;
    history.querySelector("ul").replaceChildren(...queries.slice(0, 10).map((query) => {
      const link = document.createElement("a");
      link.href = form.action + "?" + new URLSearchParams({ query });
      link.textContent = query.replace(/\s+/g, " ");
      link.title = query;
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
  };
  history.querySelector("[data-forget]").addEventListener("click", () => { keep([]); showHistory(); });
  showHistory();

  document.addEventListener("click", (event) => {
    const one = event.target.closest("[data-insert]");
    if (!one) return;
    box.focus();
    const before = box.value.slice(0, box.selectionStart);
    const text = (before && !/[\s(.]$/.test(before) ? " " : "") + one.dataset.insert;
    box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
  });

  const filter = document.querySelector("[data-filter]");
  if (!filter) return;
  const views = [...document.querySelectorAll("[data-view]")].map((view) => [view, view.textContent.toLowerCase()]);
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [view, text] of views) {
      view.hidden = !words.every((word) => text.includes(word));
      found += !view.hidden;
    }
    for (const topic of document.querySelectorAll("[data-topic]")) topic.hidden = !topic.querySelector("[data-view]:not([hidden])");
    document.querySelector("[data-none]").hidden = found > 0;
  });
})();
