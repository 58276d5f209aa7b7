"use strict";

// The box that is searched with: a combobox whose list the server fills while somebody types.
// Arrows choose, Enter follows what is chosen or searches, Esc closes (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/).
(() => {
  const box = document.querySelector("[data-search]");
  const list = document.getElementById("suggestions");
  if (!box || !list) return;
  const told = box.form.querySelector("[data-told]");
  const options = () => [...list.querySelectorAll("[role=option]")];
  let chosen = -1;

  const choose = (index) => {
    const all = options();
    chosen = all.length ? (index + all.length + 1) % (all.length + 1) : -1;
    if (chosen === all.length) chosen = -1; // past the last: the box itself
    all.forEach((option, place) => {
      option.setAttribute("aria-selected", String(place === chosen));
      if (place === chosen) option.scrollIntoView({ block: "nearest" });
    });
    if (chosen >= 0) box.setAttribute("aria-activedescendant", all[chosen].id);
    else box.removeAttribute("aria-activedescendant");
  };
  const show = (isOpen) => {
    list.hidden = !isOpen;
    box.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) choose(-1);
  };

  list.addEventListener("htmx:afterSwap", () => {
    const all = options();
    all.forEach((option, place) => { option.id = "suggestion-" + place; option.setAttribute("aria-selected", "false"); });
    chosen = -1;
    box.removeAttribute("aria-activedescendant");
    const isHere = all.length > 0 && document.activeElement === box;
    show(isHere);
    if (isHere) told.textContent = all.length === 1 ? "1 suggestion" : all.length + " suggestions";
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const all = options();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!all.length) return;
      const wasOpen = !list.hidden;
      show(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      choose(wasOpen && chosen >= 0 ? chosen + step : step > 0 ? 0 : all.length - 1);
      event.preventDefault();
    } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
      event.preventDefault();
      all[chosen].click();
    } else if (event.key === "Escape") {
      if (!list.hidden && all.length) event.preventDefault(); else box.blur();
      show(false);
    }
  });
  box.addEventListener("focus", () => { if (options().length) show(true); });
  box.form.addEventListener("focusout", (event) => { if (!box.form.contains(event.relatedTarget)) show(false); });
})();
