"use strict";
(() => {
  // The moving picture: one bar per kernel, drawn from the embedded data; of two recordings two bars, side by side.
  const record = JSON.parse(document.getElementById("data").textContent).record || {};
  const alone = record.observation ? record.observation.recording : record;
  const courses = (record.before ? [["before", record.before], ["after", record.after]] : [["", alone]])
    .filter(([, course]) => course && course.rows && course.rows.gradient_norm && course.rows.gradient_norm.length)
    .map(([kind, course]) => ({
      kind, steps: course.steps, losses: course.losses, layers: course.layers,
      logs: course.rows.gradient_norm.map(row => row.map((norm, i) => Math.log10(norm / Math.sqrt(course.sizes[i])))),
    }));
  const finite = courses.flatMap(course => course.logs.flat()).filter(Number.isFinite);
  const moments = [...new Set(courses.flatMap(course => course.steps))].sort((a, b) => a - b);
  if (!finite.length || moments.length < 2) return;
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
  const beside = courses.every(course => course.layers.length === courses[0].layers.length);
  courses.forEach((course, place) => {
    const pitch = (right - left) / course.layers.length, width = 0.8 * pitch / (beside ? courses.length : 1);
    course.bars = course.layers.map((name, i) => {
      const bar = add("rect", {x: left + (i + 0.1) * pitch + (beside ? place * width : 0), width, y: bottom, height: 0});
      if (course.kind) bar.setAttribute("class", course.kind + (beside || !place ? "" : " over"));
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = (course.kind ? course.kind + ": " : "") + String(name).slice(0, 80);
      bar.appendChild(title);
      return bar;
    });
  });
  add("text", {x: left, y: 254}, "input");
  add("text", {x: right, y: 254, "text-anchor": "end"}, "output");
  const slider = document.getElementById("step"), now = document.getElementById("now");
  const told = (course, sample) => {
    const loss = Number(course.losses[sample]);
    return (course.kind ? course.kind + " " : "") + "loss " + (Number.isFinite(loss) ? loss.toPrecision(4) : "not finite");
  };
  // Of each recording the last sample at that step or before it; of one that ended, its last.
  const sample_at = (course, step) => course.steps.reduce((found, taken, i) => taken <= step ? i : found, 0);
  const show = () => {
    const step = moments[Number(slider.value)];
    const losses = courses.map(course => {
      const sample = sample_at(course, step);
      course.bars.forEach((bar, i) => {
        const log = course.logs[sample][i];
        const height = Number.isFinite(log) ? bottom - y(log) : 0;
        bar.setAttribute("y", bottom - height);
        bar.setAttribute("height", height);
      });
      return told(course, sample);
    });
    now.textContent = ["step " + step, ...losses].join(", ");
  };
  slider.max = String(moments.length - 1);
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
