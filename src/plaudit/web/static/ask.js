// The kinds of question that this page can ask: one file ask-<kind>.js each. The server says which there are.
import { byId, el } from "./dom.js";
import { addWords } from "./words.js";

/**
 * @typedef {{title: string, rows: [string, string][]}} Help a section of the keys: its title, and what keys (apart by
 *   spaces) do; all of it keys of the words
 * @typedef {{ask: (scene: import("./options.js").Scene) => import("./options.js").Ask,
 *   heading: {text: string, clip: string}, help?: Help,
 *   words?: Record<"en" | "zh", Record<string, import("./words.js").Text>>}} Kind what such a file exports; `heading`:
 *   keys of the words for texts and for clips; `words`: those that words-en.js and words-zh.js do not have. Its action
 *   with the key "s" is to skip: the only one that is left where an option cannot be shown
 */

const names = byId("stage").dataset.kinds.split(" ").filter((name) => name !== "");

/** @type {Map<string, Kind>} all of them from the start, so that nothing has to be fetched when there is no network */
export const kinds = new Map((await Promise.all(names.map(load))).filter((found) => found !== null));

/** @param {string} name @returns {Promise<[string, Kind] | null>} null: the file is broken, and the others go on */
async function load(name) {
  try {
    const kind = /** @type {Kind} */ (await import(`./ask-${name}.js`));
    if (kind.words) addWords(kind.words);
    return [name, kind];
  } catch (error) {
    console.error(error);
    return null;
  }
}

/** How to ask a question; where there is no file for its kind, a notice that says so. @param {{kind: string}} task */
export function kindOf(task) {
  return kinds.get(task.kind) ?? UNKNOWN;
}

/** @type {Kind} */
const UNKNOWN = {
  heading: { text: "noPage", clip: "noPage" },
  ask: ({ task }) => ({
    body: el("p", { class: "missing", t: ["noPageText", { kind: task.kind }] }),
    actions: () => [], // even to skip is said in the kind's own form
    keys: {},
    work: () => null,
    close: () => {},
  }),
};
