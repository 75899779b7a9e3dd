// The overlay that shows every key: those of each kind of question, and those that the page has for all.
import { kinds } from "./ask.js";
import { byId, el } from "./dom.js";

/** Whether it lies over the page. @returns {boolean} */
export function helpOpen() {
  return byId("help").open;
}

/** Show it or put it away. @returns {true} */
export function toggleHelp() {
  const dialog = byId("help");
  if (dialog.open) dialog.close();
  else dialog.showModal();
  return true;
}

/** @param {import("./ask.js").Help} help */
function section({ title, rows }) {
  const caps = (keys) => keys.split(" ").map((key) => el("kbd", {}, key));
  const row = ([keys, t]) => el("div", {}, el("dt", {}, ...caps(keys)), el("dd", { t }));
  return el("section", {}, el("h3", { t: title }), el("dl", {}, ...rows.map(row)));
}

const sections = [...kinds.values()].flatMap(({ help }) => (help ? [section(help)] : []));
byId("help").querySelector("header").after(...sections);
byId("help").addEventListener("click", (event) => {
  if (event.target === byId("help") || event.target.closest("[data-close]")) byId("help").close();
});
