// Lines over the last minutes, five at most, as SVG: one axis, labels at the lines' ends, and the figures of any second under the pointer
// or by the arrow keys.

import { html, setText, svg } from "./dom.js";

const SPANS = [60, 120, 300];
const HEIGHT = 150;
const MARGIN = { top: 10, right: 62, bottom: 20, left: 52 };

/** The smallest of 1, 2, 5, 10, 20, … that is not below. */
function roundUp(number) {
  if (number <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= number * (1 - 1e-9));
}

/**
 * A chart of `lines`: {name, class, value(point)}. `tick(number)` writes a value of the axis, `tell(number)` one in full.
 */
export function chart({ title, unit, lines, tick, tell }) {
  const reading = html("p", { class: "reading" });
  const drawing = svg("svg", { role: "img", tabindex: 0 });
  const element = html("figure", { class: "panel chart" },
    html("figcaption", {}, html("h3", {}, title), html("span", { class: "quiet" }, unit)), drawing, reading);
  let points = [];
  let picked = null;
  let width = 360;
  let span = SPANS[0];

  const inner = () => width - MARGIN.left - MARGIN.right;
  const x = (point) => MARGIN.left + inner() * (1 - (points.at(-1).uptime_seconds - point.uptime_seconds) / span);

  function path(line, y) {
    let text = "";
    let isOpen = false;
    let before = null;
    for (const point of points) {
      const value = line.value(point);
      const isGap = value === null || (before && point.uptime_seconds - before.uptime_seconds > 3);
      if (isGap) isOpen = false;
      if (value !== null) {
        text += `${isOpen ? "L" : "M"}${x(point).toFixed(1)} ${y(value).toFixed(1)}`;
        // A lone point still shows: the caps of the line are round.
        if (!isOpen) text += "h0";
        isOpen = true;
      }
      before = point;
    }
    return text;
  }

  function endLabels(y) {
    const latest = points.at(-1);
    const labels = lines.map((line) => ({ line, value: line.value(latest) })).filter(({ value }) => value !== null);
    labels.sort((one, other) => other.value - one.value);
    const heights = [];
    for (const { value } of labels) heights.push(Math.max(y(value) + 4, (heights.at(-1) ?? -Infinity) + 13));
    // What would fall below the axis pushes the others up.
    let floor = HEIGHT - MARGIN.bottom + 4;
    for (let place = heights.length - 1; place >= 0; place -= 1) {
      heights[place] = Math.min(heights[place], floor);
      floor = heights[place] - 13;
    }
    return labels.map(({ line }, place) => svg("text", { x: width - MARGIN.right + 6, y: heights[place], class: `label ${line.class}` }, line.name));
  }

  function draw() {
    const age = (point) => points.at(-1).uptime_seconds - point.uptime_seconds;
    points = points.filter((point) => age(point) <= SPANS.at(-1));
    span = SPANS.find((each) => points.length === 0 || age(points[0]) <= each) ?? SPANS.at(-1);
    drawing.replaceChildren();
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const values = points.flatMap((point) => lines.map((line) => line.value(point) ?? 0));
    const top = roundUp(Math.max(...values, 0));
    const bottom = HEIGHT - MARGIN.bottom;
    const y = (value) => bottom - (bottom - MARGIN.top) * (value / top);
    for (const part of [0, 0.5, 1]) {
      const height = y(top * part);
      drawing.append(
        svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: height, y2: height, class: part ? "grid" : "axis" }),
        svg("text", { x: MARGIN.left - 6, y: height + 4, class: "tick end" }, tick(top * part)));
    }
    for (const [part, anchor] of [[1, "start"], [0.5, "middle"], [0, "end"]]) {
      const ago = span * part >= 60 ? `−${(span * part) / 60} min` : `−${span * part} s`;
      drawing.append(svg("text", { x: MARGIN.left + inner() * (1 - part), y: HEIGHT - 4, class: `tick ${anchor}` }, part ? ago : "now"));
    }
    if (points.length === 0) return;
    for (const line of lines) drawing.append(svg("path", { d: path(line, y), class: `line ${line.class}` }));
    drawing.append(...endLabels(y));
    if (picked !== null && points[picked]) {
      const place = x(points[picked]);
      drawing.append(svg("line", { x1: place, x2: place, y1: MARGIN.top, y2: bottom, class: "picked" }));
      for (const line of lines) {
        const value = line.value(points[picked]);
        if (value !== null) drawing.append(svg("circle", { cx: place, cy: y(value), r: 3.5, class: `dot ${line.class}` }));
      }
    }
    read();
  }

  function read() {
    const point = points[picked ?? points.length - 1];
    const age = Math.round(points.at(-1).uptime_seconds - point.uptime_seconds);
    const told = lines.map((line) => `${line.name} ${tell(line.value(point))}`).join(" · ");
    setText(reading, picked === null ? `now: ${told}` : `${age} s ago: ${told}`);
    drawing.setAttribute("aria-label", `${title}, ${unit}, the last minutes; now ${lines.map((line) => `${line.name} ${tell(line.value(points.at(-1)))}`).join(", ")}`);
  }

  function pick(place) {
    picked = points.length === 0 ? null : Math.max(0, Math.min(points.length - 1, place));
    draw();
  }

  drawing.addEventListener("pointermove", (event) => {
    if (points.length === 0) return;
    const box = drawing.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * width;
    const distances = points.map((point) => Math.abs(x(point) - wanted));
    pick(distances.indexOf(Math.min(...distances)));
  });
  const release = () => {
    picked = null;
    if (points.length > 0) draw();
  };
  drawing.addEventListener("pointerleave", release);
  drawing.addEventListener("blur", release);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 }[event.key];
    if (event.key === "Escape") release();
    if (step === undefined) return;
    event.preventDefault();
    pick((picked ?? points.length - 1) + step);
  });
  new ResizeObserver(([entry]) => {
    width = Math.max(260, Math.round(entry.contentRect.width));
    if (points.length > 0) draw();
  }).observe(drawing);

  return {
    element,
    update(history) {
      // What is picked stays under the pointer while time moves on.
      const point = picked === null ? null : points[picked];
      points = history;
      if (point) picked = Math.max(0, history.findIndex((other) => other.uptime_seconds === point.uptime_seconds));
      draw();
    },
  };
}
