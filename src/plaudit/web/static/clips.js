// Clips in lock-step: one clock for all of them, so that they show the same frame at every moment.
import { el } from "./dom.js";
import { language, number, say } from "./words.js";

/** @typedef {import("./questions.js").Clip} Clip */

const SPEEDS = [0.25, 0.5, 1, 2];
const REST = 700; // ms on the last frame before it begins again
const BRIEF = 1.2; // seconds: what is over sooner begins in slow motion
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * A player of several clips.
 * @param {Clip[]} clips
 * @param {import("./pictures.js").Pictures} pictures
 */
export function openPlayer(clips, pictures) {
  const fps = Math.max(...clips.map((clip) => clip.fps));
  const frames = 1 + Math.max(...clips.map((clip) => Math.ceil(((clip.frames - 1) * fps) / clip.fps)));
  const screens = clips.map((clip) => screen(clip, fps, toggle));
  const slow = SPEEDS.findLast((each) => each <= 1 && (frames - 1) / (fps * each) >= BRIEF);
  const state = { at: 0, playing: false, speed: slow ?? SPEEDS[0], rest: 0, before: 0, closed: false };
  const { bar, slider, count, play, speed } = controls(frames, { seek, toggle, again: () => run(0), faster });

  function frame() {
    return Math.min(frames - 1, Math.floor(state.at));
  }

  function draw() {
    for (const each of screens) each.draw(frame());
    slider.value = String(frame());
    count.textContent = `${number(frame() + 1)} / ${number(frames)}`;
    say(play, state.playing ? "pause" : "play");
    speed.textContent = `${new Intl.NumberFormat(language()).format(state.speed)}×`;
  }

  function tick(now) {
    if (state.closed || !state.playing) return;
    const passed = Math.min(100, now - state.before); // a hidden page comes back where it was
    state.before = now;
    if (frame() < frames - 1) state.at += (passed / 1000) * fps * state.speed;
    else state.rest += passed;
    if (state.rest > REST) {
      state.rest = 0;
      if (STILL.matches) state.playing = false;
      else state.at = 0;
    }
    draw();
    requestAnimationFrame(tick);
  }

  function run(from) {
    state.at = from;
    state.rest = 0;
    const begin = !state.playing;
    state.playing = true;
    state.before = performance.now();
    if (begin) requestAnimationFrame(tick);
    draw();
  }

  function toggle() {
    if (state.playing) seek(frame());
    else run(frame() === frames - 1 ? 0 : state.at);
  }

  function seek(to) {
    state.playing = false;
    state.at = Math.max(0, Math.min(frames - 1, to));
    draw();
  }

  function faster(step) {
    const place = SPEEDS.indexOf(state.speed) + step;
    state.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place))];
    draw();
  }

  async function load() {
    try {
      await Promise.all(screens.map((each) => each.load(pictures)));
    } catch {
      if (state.closed) return;
      for (const each of screens) each.fail();
      addEventListener("online", load, { once: true });
      setTimeout(load, 5000);
      return;
    }
    if (state.closed) return;
    draw();
    if (!STILL.matches) run(0);
  }

  load();
  draw();
  return {
    nodes: screens.map((each) => each.node),
    bar,
    keys: {
      " ": () => run(0),
      p: toggle,
      ",": () => seek(frame() - 1),
      ".": () => seek(frame() + 1),
      "[": () => faster(-1),
      "]": () => faster(1),
    },
    close: () => {
      state.closed = true;
    },
  };
}

/** One clip on one canvas. @param {Clip} clip @param {number} fps of the clock @param {() => void} pressed */
function screen(clip, fps, pressed) {
  const canvas = el("canvas", { width: clip.width, height: clip.height, role: "img", label: "clip", click: pressed });
  const note = el("p", { class: "loading", t: "loadingClip" });
  const end = clip.end ? el("p", { class: "end", t: `end.${clip.end.how}`, hidden: true }) : null;
  const pen = canvas.getContext("2d");
  /** @type {Map<string, ImageBitmap>} */
  const sheets = new Map();
  return {
    node: el("div", { class: "screen" }, canvas, note, end),
    load: async (pictures) => {
      for (const { sha256 } of clip.sheets) sheets.set(sha256, await pictures.sheet(sha256));
      note.hidden = true;
    },
    fail: () => say(note, "noClip"),
    draw: (shared) => {
      const own = Math.floor((shared * clip.fps) / fps + 1e-6); // 1e-6: a whole number, but for rounding
      const frame = Math.min(own, clip.frames - 1); // the shorter clip waits on its last frame
      const sheet = clip.sheets.find(({ first, frames }) => first <= frame && frame < first + frames);
      const bitmap = sheet && sheets.get(sheet.sha256);
      canvas.dataset.frame = String(shared);
      if (!sheet || !bitmap) return;
      if (end && clip.end) end.hidden = frame < clip.end.frame;
      const place = frame - sheet.first;
      const [left, top] = [(place % clip.columns) * clip.width, Math.floor(place / clip.columns) * clip.height];
      pen.clearRect(0, 0, clip.width, clip.height);
      pen.drawImage(bitmap, left, top, clip.width, clip.height, 0, 0, clip.width, clip.height);
    },
  };
}

/** The buttons below the clips, each with its key. */
function controls(frames, { seek, toggle, again, faster }) {
  const slider = el("input", {
    type: "range", min: 0, max: frames - 1, value: 0, label: "frame", input: () => seek(Number(slider.value)),
  });
  const count = el("output", { class: "count" });
  const play = el("span", { t: "play" });
  const speed = el("output", { class: "speed", label: "speed" });
  const small = (key, label, act) =>
    el("button", { type: "button", class: "quiet small", label, tip: label, click: act }, el("kbd", {}, key));
  const bar = el(
    "div", { class: "player", role: "group", label: "player" },
    el("button", { type: "button", class: "quiet small", click: again }, el("kbd", {}, "␣"), el("span", { t: "again" })),
    el("button", { type: "button", class: "quiet small toggle", click: toggle }, el("kbd", {}, "p"), play),
    small(",", "stepBack", () => seek(Number(slider.value) - 1)), slider,
    small(".", "stepOn", () => seek(Number(slider.value) + 1)), count,
    small("[", "slower", () => faster(-1)), speed, small("]", "faster", () => faster(1)),
  );
  return { bar, slider, count, play, speed };
}
