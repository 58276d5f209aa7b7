"use strict";

// Search in pages that are files: the index is a script, which is fetched when the box is first used.
const box = document.querySelector("[data-search][data-index]");
const MOST = 12;
let loading = null;
const load = () => loading || (loading = new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = box.dataset.index;
  script.onload = resolve;
  script.onerror = reject;
  document.head.append(script);
}));
const plain = (text) => text.normalize("NFKD").replace(/\p{Diacritic}/gu, "").toLowerCase();

// How well a concept answers: 0 its name begins so, 1 a phrase for it or its category does, 2 its name holds it.
const rank = (concept, asked) => {
  const [name, category, phrases] = concept;
  if (plain(name).startsWith(asked)) return 0;
  if (plain(category).startsWith(asked) || phrases.some((phrase) => plain(phrase).startsWith(asked))) return 1;
  return plain(name).includes(asked) || phrases.some((phrase) => plain(phrase).split(/\s+/u).includes(asked)) ? 2 : -1;
};
const find = (text) => {
  const { layers, concepts } = window.neuronsIndex, asked = plain(text.trim()), found = [];
  if (!asked) return found;
  if (/^\d+$/.test(asked)) {
    const unit = Number(asked);
    layers.forEach((layer, number) => {
      if (layer[3].some(([first, last]) => first <= unit && unit <= last)) found.push({ name: "unit " + unit, why: "", number, unit });
    });
  }
  const ranked = concepts.map((concept) => [rank(concept, asked), concept]).filter(([how]) => how >= 0);
  ranked.sort((one, other) => one[0] - other[0]);
  for (const [how, [name, category, phrases, units]] of ranked) {
    const phrase = how === 0 ? undefined : phrases.find((each) => plain(each).startsWith(asked));
    for (const [number, ...of] of units) {
      for (const unit of of) {
        if (found.length >= MOST) return found;
        found.push({ name, why: phrase ? category + ", " + phrase : category, number, unit });
      }
    }
  }
  return found;
};
const show = (found, isAsked) => {
  const place = document.getElementById("suggestions"), { layers } = window.neuronsIndex;
  place.replaceChildren(...found.map(({ name, why, number, unit }) => {
    const link = document.createElement("a"), title = document.createElement("b"), more = document.createElement("span");
    link.href = box.dataset.root + layers[number][0].split("/").map(encodeURIComponent).join("/") + "/" + unit + ".html";
    title.textContent = name;
    more.textContent = [why, layers[number][1], unit].filter((part) => part !== "").join(" · ");
    more.className = "faint";
    link.append(title, more);
    return link;
  }));
  if (isAsked && !found.length) place.textContent = "No neuron of this site is called so.";
};
if (box) {
  box.addEventListener("focus", load);
  box.addEventListener("input", () => load().then(() => show(find(box.value), box.value.trim())));
  box.addEventListener("keydown", (event) => {
    const first = document.querySelector("#suggestions a");
    if (event.key === "ArrowDown" && first) { first.focus(); event.preventDefault(); }
    if (event.key === "Enter" && first) { first.click(); event.preventDefault(); }
    if (event.key === "Escape") { box.value = ""; document.getElementById("suggestions").replaceChildren(); }
  });
  document.getElementById("suggestions").addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step) return;
    (event.target[step] || box).focus();
    event.preventDefault();
  });
}
