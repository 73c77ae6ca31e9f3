"use strict";
// Shows the values under the pointer; the page can be read without it.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

function when(epoch, phases) {
  const phase = phases.filter((each) => each[1] <= epoch).pop();
  const within = phases.length > 1 ? ` (${phase[0]} ${epoch - phase[1] + 1})` : "";
  return `Epoch ${epoch}${within}`;
}

function show(event, lines) {
  tip.replaceChildren();
  lines.forEach((line, index) => {
    const part = document.createElement(index ? "div" : "b");
    part.textContent = line;
    tip.append(part);
  });
  tip.hidden = false;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, room))}px`;
  const above = event.clientY - tip.offsetHeight - 14;
  tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
}

function epochAt(event, box, count) {
  const part = (event.clientX - box.left) / box.width;
  return Math.min(count, Math.max(1, Math.ceil(part * count)));
}

function overLines(plot, [count, phases, series]) {
  const cursor = document.createElementNS(plot.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y2", "100%");
  plot.addEventListener("pointermove", (event) => {
    const epoch = epochAt(event, plot.getBoundingClientRect(), count);
    const place = `${(100 * (epoch - 0.5)) / count}%`;
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    plot.append(cursor);
    const known = series.filter((each) => each[1][epoch - 1] != null);
    show(event, [when(epoch, phases), ...known.map((each) => `${each[0]}: ${each[1][epoch - 1]}`)]);
  });
  plot.addEventListener("pointerleave", () => cursor.remove());
}

function overCells(cells, [count, phases, names, rows, size]) {
  cells.addEventListener("pointermove", (event) => {
    const box = cells.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * names.length);
    const epoch = epochAt(event, box, count);
    const first = epoch - ((epoch - 1) % size);
    const last = Math.min(count, first + size - 1);
    if (!(row in names)) return;
    const value = rows[row][(first - 1) / size] ?? "not measured";
    const epochs = last > first ? `Epochs ${first} to ${last}` : when(epoch, phases);
    show(event, [names[row], epochs, value]);
  });
}

for (const figure of document.querySelectorAll("[data-hover]")) {
  const plot = figure.querySelector(".plot, .cells");
  const over = plot.classList.contains("plot") ? overLines : overCells;
  over(plot, JSON.parse(figure.dataset.hover));
  plot.addEventListener("pointerleave", () => (tip.hidden = true));
}
