"use strict";

// The map of a layer: dots on a canvas, drawn again when something moves. Coordinates of the plane are 0..1.
(() => {
  const root = document.getElementById("map");
  const plane = root.querySelector(".map-plane");
  const canvas = root.querySelector("canvas");
  const context = canvas.getContext("2d");
  const status = root.querySelector(".map-status");
  const card = root.querySelector(".map-card");
  const legend = root.querySelector(".map-legend");
  const lassoButton = root.querySelector("[data-tool=lasso]");
  const COLOURS = 10; // categories with a colour of their own
  const CELLS = 64; // of the grid that finds the nearest dot
  const IMAGES = 140; // as many dots in sight, or fewer, are shown as images
  const KEPT_IMAGES = 800;
  const MANY = 4000;
  const MAX_ZOOM = 400;

  let points = null;
  let width = 0, height = 0, ratio = 1;
  let zoom = 1, middleX = 0.5, middleY = 0.5; // what is in the middle of the canvas
  let only = null; // the category that alone is shown
  let shown = -1; // the dot whose card is open
  let marked = -1; // the neuron that the address names
  let lasso = null;
  let chosen = null; // Uint8Array: dots within the lasso
  let sprites = [];
  let isDue = false;
  const images = new Map();

  const side = () => 0.92 * Math.min(width, height) * zoom;
  const toX = (x) => width / 2 + (x - middleX) * side();
  const toY = (y) => height / 2 + (y - middleY) * side();
  const fromX = (left) => middleX + (left - width / 2) / side();
  const fromY = (top) => middleY + (top - height / 2) / side();
  const colourOf = (category) => (category === 0 ? 0 : Math.min(category, COLOURS + 1));
  const isIn = (place) => only === null || points.category[place] === only;
  const radius = () => Math.max(2, Math.min(7, 1.6 * Math.sqrt(zoom) + (points.units.length < 4000 ? 1.4 : 0)));

  const due = () => { if (!isDue) { isDue = true; requestAnimationFrame(draw); } };

  const readColours = () => {
    const style = getComputedStyle(root);
    sprites = [];
    for (let number = 0; number <= COLOURS + 1; number++) sprites.push(style.getPropertyValue("--map-" + number).trim() || "#888888");
    sprites = sprites.map((colour) => ({ colour, size: 0, canvas: document.createElement("canvas") }));
  };
  const spriteOf = (category, size) => {
    const sprite = sprites[colourOf(category)];
    if (sprite.size !== size) {
      sprite.size = size;
      const whole = Math.ceil(2 * size * ratio) + 2;
      sprite.canvas.width = sprite.canvas.height = whole;
      const pen = sprite.canvas.getContext("2d");
      pen.fillStyle = sprite.colour;
      pen.beginPath();
      pen.arc(whole / 2, whole / 2, size * ratio, 0, 2 * Math.PI);
      pen.fill();
    }
    return sprite.canvas;
  };

  const imageOf = (place) => {
    let image = images.get(place);
    if (image) return image;
    if (images.size >= KEPT_IMAGES) images.delete(images.keys().next().value);
    image = new Image();
    image.onload = due;
    image.src = points.strip.replace("{unit}", points.units[place]);
    images.set(place, image);
    return image;
  };

  const inSight = (margin) => {
    const found = [];
    const left = fromX(-margin), right = fromX(width + margin), top = fromY(-margin), bottom = fromY(height + margin);
    for (let place = 0; place < points.units.length; place++) {
      if (points.px[place] >= left && points.px[place] <= right && points.py[place] >= top && points.py[place] <= bottom && isIn(place)) found.push(place);
    }
    return found;
  };

  // Thousands of dots as pixels: a tenth of the time of as many pictures.
  const drawMany = (seen, size) => {
    const picture = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(picture.data.buffer);
    const wide = canvas.width, reach = Math.max(1, Math.round(size * ratio));
    const disc = [];
    for (let down = -reach; down <= reach; down++) {
      const across = Math.round(Math.sqrt(Math.max(0, (reach + 0.3) ** 2 - down ** 2)));
      disc.push(down, Math.min(across, reach));
    }
    const colours = sprites.map((sprite) => numberOf(sprite.colour));
    for (const place of seen) {
      const x = Math.round(toX(points.px[place]) * ratio), y = Math.round(toY(points.py[place]) * ratio);
      if (x < reach || y < reach || x >= wide - reach || y >= canvas.height - reach) continue;
      let colour = colours[colourOf(points.category[place])];
      if (chosen && !chosen[place]) colour = (colour & 0x00ffffff) | 0x40000000;
      for (let line = 0; line < disc.length; line += 2) {
        const from = (y + disc[line]) * wide + x;
        pixels.fill(colour, from - disc[line + 1], from + disc[line + 1] + 1);
      }
    }
    context.putImageData(picture, 0, 0);
  };
  // "#rrggbb" as the four bytes of a pixel.
  const numberOf = (colour) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  };

  const draw = () => {
    isDue = false;
    if (!points || !width) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const size = radius();
    const seen = inSight(40);
    const isNear = seen.length <= IMAGES && zoom > 1.5;
    const edge = Math.min(72, Math.max(28, side() / Math.sqrt(points.units.length) * 0.75));
    if (seen.length > MANY) drawMany(seen, size);
    else for (const place of seen) {
      const x = toX(points.px[place]) * ratio, y = toY(points.py[place]) * ratio;
      context.globalAlpha = chosen && !chosen[place] ? 0.25 : 1;
      const image = isNear ? imageOf(place) : null;
      if (image && image.complete && image.naturalWidth) {
        const half = edge * ratio / 2;
        context.drawImage(image, x - half, y - half, 2 * half, 2 * half);
        context.strokeStyle = sprites[colourOf(points.category[place])].colour;
        context.lineWidth = 2 * ratio;
        context.strokeRect(x - half, y - half, 2 * half, 2 * half);
      } else {
        const sprite = spriteOf(points.category[place], size);
        context.drawImage(sprite, x - sprite.width / 2, y - sprite.height / 2);
      }
    }
    context.globalAlpha = 1;
    const ink = getComputedStyle(root).color;
    for (const place of new Set([marked, shown])) {
      if (place < 0) continue;
      context.strokeStyle = ink;
      context.lineWidth = 2.5 * ratio;
      context.beginPath();
      const around = isNear ? edge * 0.75 : size + 4;
      context.arc(toX(points.px[place]) * ratio, toY(points.py[place]) * ratio, around * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
    if (lasso && lasso.length > 1) {
      context.strokeStyle = ink;
      context.lineWidth = 1.5 * ratio;
      context.setLineDash([6 * ratio, 4 * ratio]);
      context.beginPath();
      for (const [x, y] of lasso) context.lineTo(toX(x) * ratio, toY(y) * ratio);
      context.closePath();
      context.stroke();
      context.setLineDash([]);
    }
  };

  const resize = () => {
    const box = canvas.getBoundingClientRect();
    width = box.width;
    height = box.height;
    ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    for (const sprite of sprites) sprite.size = 0;
    due();
  };

  // Moving.
  const zoomBy = (factor, left = width / 2, top = height / 2) => {
    const x = fromX(left), y = fromY(top);
    zoom = Math.min(MAX_ZOOM, Math.max(0.8, zoom * factor));
    middleX = x - (left - width / 2) / side();
    middleY = y - (top - height / 2) / side();
    keepInside();
  };
  const moveBy = (right, down) => { middleX += right / side(); middleY += down / side(); keepInside(); };
  const keepInside = () => {
    middleX = Math.min(1, Math.max(0, middleX));
    middleY = Math.min(1, Math.max(0, middleY));
    due();
  };
  const showAll = () => { zoom = 1; middleX = middleY = 0.5; due(); };

  // The nearest dot.
  const cellOf = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(value * CELLS)));
  const nearest = (left, top, reach) => {
    const x = fromX(left), y = fromY(top), far = reach / side();
    let best = -1, least = far * far;
    for (let row = cellOf(y - far); row <= cellOf(y + far); row++) {
      for (let column = cellOf(x - far); column <= cellOf(x + far); column++) {
        for (const place of points.cells[row * CELLS + column] || []) {
          const distance = (points.px[place] - x) ** 2 + (points.py[place] - y) ** 2;
          if (distance <= least && isIn(place)) { least = distance; best = place; }
        }
      }
    }
    return best;
  };
  const addressOf = (place) => points.neuron.replace("{unit}", points.units[place]);
  const show = (place) => {
    if (place === shown) return;
    shown = place;
    canvas.style.cursor = place >= 0 ? "pointer" : "";
    card.hidden = place < 0;
    due();
    if (place < 0) return;
    const [name, family, unit] = card.querySelectorAll("b, span");
    const concept = points.concepts[points.concept[place]];
    name.textContent = concept === null ? "unlabelled" : concept;
    family.textContent = points.categories[points.category[place]] || "";
    unit.textContent = "unit " + points.units[place];
    card.querySelector("img").src = points.strip.replace("{unit}", points.units[place]);
    const left = Math.min(Math.max(8, toX(points.px[place]) + 14), width - card.offsetWidth - 8);
    const above = toY(points.py[place]) - card.offsetHeight - 14;
    card.style.left = left + "px";
    card.style.top = (above > 8 ? above : toY(points.py[place]) + 14) + "px";
  };

  // The lasso.
  const endLasso = () => {
    const corners = lasso;
    lasso = null;
    const inside = (x, y) => {
      let is = false;
      for (let one = 0, other = corners.length - 1; one < corners.length; other = one++) {
        const [ax, ay] = corners[one], [bx, by] = corners[other];
        if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) is = !is;
      }
      return is;
    };
    const found = [];
    chosen = new Uint8Array(points.units.length);
    if (corners.length > 2) {
      for (let place = 0; place < chosen.length; place++) {
        if (isIn(place) && inside(points.px[place], points.py[place])) { chosen[place] = 1; found.push(points.units[place]); }
      }
    }
    if (!found.length) { forget("No neuron is within."); return; }
    const most = Number(root.dataset.most);
    status.textContent = found.length + (found.length === 1 ? " neuron. " : " neurons. ");
    if (found.length > most) status.append("A list holds " + most + " at most: draw a smaller loop.");
    else {
      const link = document.createElement("a");
      link.href = root.dataset.list + "?list=" + encodeURIComponent(points.list + found.join(",")).replace(/%(2C|2F|3A)/g, decodeURIComponent);
      link.textContent = "Open them as a list";
      status.append(link);
    }
    due();
  };
  const forget = (told) => { chosen = null; status.textContent = told || ""; due(); };
  const setLasso = (is) => { lassoButton.setAttribute("aria-pressed", String(is)); plane.classList.toggle("drawing", is); };
  const isDrawing = (event) => lassoButton.getAttribute("aria-pressed") === "true" || event.shiftKey;

  // Pointers: one moves or draws, two pinch.
  const pointers = new Map();
  let moved = 0;
  const placeOf = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const spread = () => { const [[ax, ay], [bx, by]] = [...pointers.values()]; return [Math.hypot(ax - bx, ay - by), (ax + bx) / 2, (ay + by) / 2]; };
  canvas.addEventListener("pointerdown", (event) => {
    if (!points || event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(event));
    moved = 0;
    if (pointers.size === 1 && isDrawing(event)) { const [left, top] = placeOf(event); lasso = [[fromX(left), fromY(top)]]; chosen = null; show(-1); }
    else lasso = null;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!points) return;
    const [left, top] = placeOf(event);
    const before = pointers.get(event.pointerId);
    if (!before) { if (event.pointerType !== "touch") show(nearest(left, top, 14)); return; }
    if (pointers.size === 2) {
      const [was] = spread();
      pointers.set(event.pointerId, [left, top]);
      const [is, x, y] = spread();
      if (was > 0) zoomBy(is / was, x, y);
      moved += 10;
      show(-1);
      return;
    }
    pointers.set(event.pointerId, [left, top]);
    moved += Math.hypot(left - before[0], top - before[1]);
    if (lasso) { lasso.push([fromX(left), fromY(top)]); due(); }
    else if (moved > 4) { show(-1); moveBy(before[0] - left, before[1] - top); }
  });
  const lift = (event) => {
    if (!pointers.delete(event.pointerId) || !points) return;
    if (lasso) { endLasso(); return; }
    if (event.type === "pointerup" && moved <= 4) {
      const [left, top] = placeOf(event);
      const place = nearest(left, top, 18);
      if (place < 0) { show(-1); forget(); }
      else if (event.pointerType === "touch" && place !== shown) show(place); // the first tap shows, the second opens
      else if (event.ctrlKey || event.metaKey) window.open(addressOf(place), "_blank", "noopener");
      else location.href = addressOf(place);
    }
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { if (!pointers.size) show(-1); });
  canvas.addEventListener("wheel", (event) => {
    if (!points) return;
    event.preventDefault();
    show(-1);
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...placeOf(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (!points || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60;
    const moves = {
      ArrowLeft: () => moveBy(-step, 0), ArrowRight: () => moveBy(step, 0), ArrowUp: () => moveBy(0, -step), ArrowDown: () => moveBy(0, step),
      "+": () => zoomBy(1.4), "=": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), 0: showAll,
    };
    if (event.key === "Enter" && shown >= 0) location.href = addressOf(shown);
    else if (event.key === "Escape") { setLasso(false); show(-1); forget(); }
    else if (moves[event.key]) {
      moves[event.key]();
      show(nearest(width / 2, height / 2, Math.max(width, height) / 2));
      if (shown >= 0) status.textContent = [...card.querySelectorAll("b, span")].map((part) => part.textContent).filter(Boolean).join(", ");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.querySelector(".map-tools").addEventListener("click", (event) => {
    const tool = event.target.dataset.tool;
    if (!points || !tool) return;
    show(-1);
    if (tool === "in") zoomBy(1.6);
    else if (tool === "out") zoomBy(1 / 1.6);
    else if (tool === "all") showAll();
    else setLasso(lassoButton.getAttribute("aria-pressed") !== "true");
  });

  const makeLegend = () => {
    const counts = new Array(points.categories.length).fill(0);
    for (const category of points.category) counts[category]++;
    const order = [...counts.keys()].filter((category) => counts[category]).sort((a, b) => (a === 0) - (b === 0) || a - b);
    for (const category of order) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      const dot = document.createElement("i");
      dot.className = "map-dot";
      dot.style.background = "var(--map-" + colourOf(category) + ")";
      const count = document.createElement("span");
      count.className = "faint";
      count.textContent = counts[category];
      button.append(dot, points.categories[category] === null ? "unlabelled" : points.categories[category], " ", count);
      button.addEventListener("click", () => {
        only = only === category ? null : category;
        for (const each of legend.children) each.setAttribute("aria-pressed", String(each === button && only !== null));
        show(-1);
        forget();
      });
      legend.append(button);
    }
  };

  const begin = (found) => {
    points = found;
    points.px = Float32Array.from(points.x, (value) => value / 10000);
    points.py = Float32Array.from(points.y, (value) => value / 10000);
    points.cells = [];
    for (let place = 0; place < points.units.length; place++) {
      const cell = cellOf(points.py[place]) * CELLS + cellOf(points.px[place]);
      (points.cells[cell] = points.cells[cell] || []).push(place);
    }
    status.textContent = points.unplaced ? points.unplaced + " neurons have no image that excites them, and no place." : "";
    makeLegend();
    if (root.dataset.unit) {
      marked = points.units.indexOf(Number(root.dataset.unit));
      if (marked >= 0) {
        zoom = Math.max(4, Math.sqrt(points.units.length) / 4);
        middleX = points.px[marked];
        middleY = points.py[marked];
      } else status.textContent = "Unit " + root.dataset.unit + " has no place on the map.";
    }
    due();
    if (marked >= 0) show(marked);
  };

  readColours();
  new ResizeObserver(resize).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); due(); });
  fetch(root.dataset.points).then((answer) => {
    if (!answer.ok) throw new Error("the server answered " + answer.status);
    return answer.json();
  }).then(begin).catch((error) => { status.textContent = "The map cannot be shown: " + error.message + "."; });
})();
