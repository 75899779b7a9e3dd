// Line charts drawn by hand as SVG: axes with units, a reading under the pointer or the arrow keys.
import { el, svg } from "./dom.js";
import { linear, nearest, ticks } from "./scales.js";
import { number, percent, say, t } from "./words.js";

const HEIGHT = 210;
const EDGE = { left: 54, right: 14, top: 12, bottom: 38 };

/**
 * @typedef {{key: string, colour: string, share?: boolean, zero?: boolean}} Shape `share`: between 0 and 1, as percent;
 *   `zero`: the axis begins at 0
 * @typedef {{node: HTMLElement, show: (points: [number, number][], unit: string) => void}} Chart
 */

/** @param {Shape} shape @returns {Chart} */
export function lineChart(shape) {
  const place = el("div", { class: "plot", tabindex: 0, role: "img" });
  const tip = el("div", { class: "tip", hidden: true });
  const now = el("b", { class: "now" });
  const head = el("header", {}, el("h2", { t: `chart.${shape.key}` }), now);
  const note = el("p", { class: "small", t: `chart.${shape.key}.note` });
  const node = el("figure", { class: `card chart ${shape.colour}` }, head, note, el("div", { class: "frame" }, place, tip));
  const state = { points: /** @type {[number, number][]} */ ([]), unit: "", at: -1, x: null, y: null };

  function show(points, unit) {
    const same = JSON.stringify([points, unit]) === JSON.stringify([state.points, state.unit]);
    Object.assign(state, { points, unit });
    if (!same) draw();
  }

  function draw() {
    const { points, unit } = state;
    const last = points.at(-1);
    now.textContent = last ? written(shape, last[1]) : "";
    if (!last) {
      place.replaceChildren(el("p", { class: "small none", t: "chart.none" }));
      return say(place, "chart.none", {}, "data-t-label");
    }
    const drawing = drawn(shape, points, unit, Math.max(240, place.clientWidth));
    Object.assign(state, { x: drawing.x, y: drawing.y });
    place.replaceChildren(drawing.node);
    say(place, "chart.spoken", { title: () => t(`chart.${shape.key}`), value: written(shape, last[1]) }, "data-t-label");
    read(state.at);
  }

  function read(index) {
    state.at = Math.min(index, state.points.length - 1);
    place.querySelector(".mark")?.remove();
    tip.hidden = state.at < 0 || !state.x;
    if (tip.hidden) return;
    const [x, y] = state.points[state.at];
    const [left, top] = [state.x(x), state.y(y)];
    place.querySelector("svg")?.append(svg("circle", { class: "mark", cx: left, cy: top, r: 4.5 }));
    tip.replaceChildren(el("b", {}, written(shape, y)), el("span", {}, t(`at.${state.unit}`, { n: x })));
    tip.style.left = `${Math.min(left, place.clientWidth - 60)}px`;
    tip.style.top = `${top}px`;
  }

  place.addEventListener("pointermove", (event) => {
    if (!state.x || state.points.length === 0) return;
    const left = event.clientX - place.getBoundingClientRect().left;
    const xs = state.points.map(([x]) => [state.x(x), 0]);
    read(nearest(xs, left));
  });
  place.addEventListener("pointerleave", () => read(-1));
  place.addEventListener("blur", () => read(-1));
  place.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || state.points.length === 0) return;
    read(Math.max(0, (state.at < 0 ? state.points.length : state.at) + step));
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(place);
  return { node, show };
}

/** A value as people read it. @param {Shape} shape @param {number} value */
function written(shape, value) {
  return shape.share ? percent(value) : number(value, { maximumSignificantDigits: 4 });
}

/** Axes and the line. */
function drawn(shape, points, unit, width) {
  const ys = points.map(([, y]) => y);
  const range = shape.share ? [0, 1] : [Math.min(...ys, ...(shape.zero ? [0] : [])), Math.max(...ys, ...(shape.zero ? [1] : []))];
  const marks = shape.share ? [0, 0.25, 0.5, 0.75, 1] : ticks(range[0], range[1], 4);
  const ends = [Math.min(0, points[0][0]), points[points.length - 1][0]];
  const x = linear(ends, [EDGE.left, width - EDGE.right]);
  const y = linear([marks[0], marks[marks.length - 1]], [HEIGHT - EDGE.bottom, EDGE.top]);
  const node = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
  for (const mark of marks) {
    node.append(
      svg("line", { class: mark === 0.5 && shape.share ? "grid half" : "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(mark), y2: y(mark) }),
      svg("text", { class: "y", x: EDGE.left - 8, y: y(mark) + 4 }, shape.share ? percent(mark) : short(mark)),
    );
  }
  for (const mark of ticks(ends[0], ends[1], width < 400 ? 3 : 5)) {
    if (x(mark) < EDGE.left - 1 || x(mark) > width - EDGE.right + 1) continue;
    node.append(svg("text", { class: "x", x: x(mark), y: HEIGHT - EDGE.bottom + 16 }, short(mark)));
  }
  node.append(svg("text", { class: "unit", x: width - EDGE.right, y: HEIGHT - 4 }, t(`unit.${unit}`)));
  const path = points.map(([a, b], index) => `${index ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  node.append(svg("path", { class: "line", d: path }));
  if (points.length === 1) node.append(svg("circle", { class: "dot", cx: x(points[0][0]), cy: y(points[0][1]), r: 3.5 }));
  return { node, x, y };
}

function short(value) {
  return number(value, Math.abs(value) >= 10_000 ? { notation: "compact" } : { maximumSignificantDigits: 4 });
}
