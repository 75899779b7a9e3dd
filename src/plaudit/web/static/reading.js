// How people read the texts of a question: raw or formatted, answers scrolled together, differences marked.
import { canMark, markDifferences, unmark } from "./differences.js";
import { el } from "./dom.js";
import { keyed } from "./keys.js";
import { announce } from "./notices.js";
import { scrollAnswers, scrollTogether } from "./scrolls.js";
import { showRaw } from "./views.js";

/** What a person has chosen; the first two stay as they are until that person changes them. */
const chosen = { raw: false, together: false, marked: false };
let place = "";
/** @type {Record<string, () => void>} what keys do for the question on screen */
let keys = {};

/** @param {string} owner whose choices hold here */
export function readAs(owner) {
  place = `plaudit-reading/${owner}`;
  try {
    const { raw, together } = JSON.parse(localStorage.getItem(place) ?? "{}");
    Object.assign(chosen, { raw: raw === true, together: together === true });
  } catch {
    // a browser that keeps nothing
  }
  showRaw(chosen.raw);
  scrollTogether(chosen.together);
}

/** What a key does for the texts on screen. @param {string} key @returns {(() => void) | undefined} */
export function readingKey(key) {
  return Object.hasOwn(keys, key) ? keys[key] : undefined;
}

/** The buttons for a question; null where it has no text. @param {import("./questions.js").Task} task */
export function readingTools({ prompt, options }) {
  const texts = options.filter(({ view }) => view.kind === "text" || view.kind === "messages").length;
  unmark();
  chosen.marked = false;
  keys = {};
  if (texts === 0 && !prompt) return null;
  const tools = [tool("r", "rawText", "raw", setRaw)];
  if (texts > 1) tools.push(tool("t", "together", "together", setTogether));
  if (texts === 2 && options.length === 2 && canMark) tools.push(tool("d", "differences", "marked", mark));
  if (texts > 0) Object.assign(keys, { j: () => scrollAnswers(1), k: () => scrollAnswers(-1) });
  return el("div", { class: "reading", role: "group", label: "help.texts" }, ...tools);
}

/**
 * @param {string} key
 * @param {string} t
 * @param {"raw" | "together" | "marked"} name
 * @param {() => void} apply makes a change of the choice seen
 */
function tool(key, t, name, apply) {
  const press = () => {
    chosen[name] = !chosen[name];
    button.setAttribute("aria-pressed", String(chosen[name]));
    apply();
  };
  const props = { type: "button", class: "small quiet", "data-read": key, "aria-pressed": String(chosen[name]), click: press };
  const button = el("button", props, ...keyed({ key }), el("span", { t }));
  keys[key] = press;
  return button;
}

function setRaw() {
  showRaw(chosen.raw);
  remember();
  if (chosen.marked) mark();
}

function setTogether() {
  scrollTogether(chosen.together);
  remember();
}

function mark() {
  unmark();
  if (!chosen.marked) return;
  const [one, two] = document.querySelectorAll(".option .said");
  const n = markDifferences(one, two);
  announce(n === 0 ? "noDifference" : "marked", { n });
}

function remember() {
  try {
    localStorage.setItem(place, JSON.stringify({ raw: chosen.raw, together: chosen.together }));
  } catch {
    // it holds as long as the page
  }
}
