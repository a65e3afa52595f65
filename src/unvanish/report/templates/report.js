"use strict";
(() => {
  // Sorting: a click on a heading sorts by it, a second click the other way round; what is not a number goes last.
  const table = document.getElementById("layer-table");
  const body = table.tBodies[0];
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace("<", "").replace(">", "").replace("inf", "Infinity"));
    return Number.isNaN(number) || column === 1 ? text : number;
  };
  const compare = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)));
      body.replaceChildren(...rows);
    });
  });

  // The moving picture: one bar per kernel, drawn from the embedded data.
  const seen = (JSON.parse(document.getElementById("data").textContent).record || {}).observation;
  const recording = seen && seen.recording;
  const norms = recording && recording.rows && recording.rows.gradient_norm;
  if (!norms || norms.length < 2) return;
  const logs = norms.map(row => row.map((norm, i) => Math.log10(norm / Math.sqrt(recording.sizes[i]))));
  const finite = logs.flat().filter(Number.isFinite);
  if (!finite.length) return;
  const lowest = finite.reduce((a, b) => Math.min(a, b)), highest = finite.reduce((a, b) => Math.max(a, b));
  const low = Math.floor(lowest - 0.3), high = Math.max(Math.ceil(highest), low + 1);
  const picture = document.getElementById("moving-picture");
  const [left, right, top, bottom] = [56, 812, 12, 236];
  const y = log => bottom - (log - low) / (high - low) * (bottom - top);
  const add = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return picture.appendChild(element);
  };
  const every = Math.ceil((high - low) / 6);
  for (let decade = low; decade <= high; decade += every) {
    add("line", {x1: left, x2: right, y1: y(decade), y2: y(decade)});
    add("text", {x: left - 6, y: y(decade) + 4, "text-anchor": "end"}, "1e" + decade);
  }
  const pitch = (right - left) / recording.layers.length;
  const bars = recording.layers.map((name, i) => {
    const bar = add("rect", {x: left + (i + 0.1) * pitch, width: 0.8 * pitch, y: bottom, height: 0});
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = String(name).slice(0, 80);
    bar.appendChild(title);
    return bar;
  });
  add("text", {x: left, y: 254}, "input");
  add("text", {x: right, y: 254, "text-anchor": "end"}, "output");
  const slider = document.getElementById("step"), now = document.getElementById("now");
  const show = () => {
    const sample = Number(slider.value);
    bars.forEach((bar, i) => {
      const log = logs[sample][i];
      const height = Number.isFinite(log) ? bottom - y(log) : 0;
      bar.setAttribute("y", bottom - height);
      bar.setAttribute("height", height);
    });
    const loss = Number(recording.losses[sample]);
    now.textContent = "step " + recording.steps[sample] + ", loss " + (Number.isFinite(loss) ? loss.toPrecision(4) : "not finite");
  };
  slider.max = String(norms.length - 1);
  slider.addEventListener("input", show);
  const play = document.getElementById("play");
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "play"; };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = "0";
    play.textContent = "pause";
    timer = setInterval(() => {
      slider.value = String(Number(slider.value) + 1);
      show();
      if (slider.value === slider.max) stop();
    }, 120);
    show();
  });
  show();
  document.getElementById("moving").hidden = false;
})();
