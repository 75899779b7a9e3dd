// Boxes of text that scroll by themselves and say where there is more; those of the answers together, if wanted.
import { byId, el } from "./dom.js";

/** @type {WeakMap<Element, number>} where a box was put by another one: that is no scrolling of its own */
const followed = new WeakMap();
let together = false;

/** @param {boolean} wanted whether each answer goes along when one is scrolled */
export function scrollTogether(wanted) {
  together = wanted;
}

/**
 * A box around some text.
 * @param {Element} text
 * @param {boolean} [lastFirst] begin with the last turn in sight instead of the first
 */
export function scrollBox(text, lastFirst = false) {
  const box = el("div", { class: "scroll", tabindex: 0, scroll: () => moved(box, tell) }, text);
  const above = el("p", { class: "more above", t: "moreAbove", "aria-hidden": "true", hidden: true });
  const below = el("p", { class: "more below", t: "moreBelow", "aria-hidden": "true", hidden: true });
  const tell = () => {
    above.hidden = !box.classList.toggle("above", box.scrollTop > 8);
    below.hidden = !box.classList.toggle("below", box.scrollHeight - box.clientHeight - box.scrollTop > 8);
    box.tabIndex = above.hidden && below.hidden ? -1 : 0; // only what can be scrolled is a stop of the Tab key
  };
  let drawn = /** @type {Element | null} */ (null);
  new ResizeObserver(() => {
    if (lastFirst && drawn !== text.firstElementChild && box.clientHeight > 0) {
      drawn = text.firstElementChild;
      box.scrollTop = /** @type {HTMLElement | null} */ (text.querySelector(".bubble:last-child"))?.offsetTop ?? box.scrollHeight;
    }
    tell();
  }).observe(text);
  return el("div", { class: "scroll-frame" }, box, above, below);
}

/** The boxes of the answers that can be scrolled, left to right. @returns {Element[]} */
function boxes() {
  return [...document.querySelectorAll(".option .scroll")].filter((box) => box.scrollHeight > box.clientHeight + 1);
}

/** Scroll every answer; before them the page, as far as the bar hides something of them. @param {1 | -1} way */
export function scrollAnswers(way) {
  const found = boxes();
  const hidden = Math.max(0, ...found.map((box) => box.getBoundingClientRect().bottom)) - byId("actions").getBoundingClientRect().top;
  if (way > 0 && hidden > 1) return window.scrollBy(0, Math.min(hidden + 12, 0.6 * innerHeight));
  if (found.every((box) => way < 0 && box.scrollTop === 0)) return window.scrollBy(0, way * 0.6 * innerHeight);
  for (const box of found) put(box, box.scrollTop + way * 0.8 * box.clientHeight);
}

/** @param {Element} box @param {() => void} tell */
function moved(box, tell) {
  tell();
  const own = followed.get(box) !== box.scrollTop;
  followed.delete(box);
  if (!together || !own || box.closest(".option") === null) return;
  for (const other of boxes()) if (other !== box) put(other, box.scrollTop);
}

/** @param {Element} box @param {number} top */
function put(box, top) {
  const before = box.scrollTop;
  box.scrollTop = top;
  if (box.scrollTop !== before) followed.set(box, box.scrollTop);
}
