// What people look at: prompts, texts and conversations, formatted, or raw: exactly as they are stored.
import { el } from "./dom.js";
import { richNodes } from "./rich.js";
import { scrollBox } from "./scrolls.js";

/**
 * @typedef {import("./questions.js").View} View @typedef {import("./questions.js").Message} Message
 * @typedef {import("./questions.js").Turn} Turn
 */

const ROLES = new Set(["system", "user", "assistant", "tool"]);
/** @type {WeakMap<Element, () => Node[]>} how what stands in a node is drawn anew */
const drawings = new WeakMap();
let raw = false;

/** Show every text raw or formatted, now and from now on. @param {boolean} wanted */
export function showRaw(wanted) {
  raw = wanted;
  for (const node of document.querySelectorAll(".said")) node.replaceChildren(...(drawings.get(node)?.() ?? []));
}

/** What the options answer to; null where there is nothing to show. @param {import("./questions.js").Task} task */
export function promptNode({ prompt, prompt_turns: turns }) {
  if (prompt === null || prompt.length === 0) return null;
  const box = scrollBox(said(prompt, turns), (turns ?? prompt).length > 1 && (turns !== null || typeof prompt !== "string"));
  return el("section", { class: "prompt" }, el("h2", { t: "prompt" }), box);
}

/** An option that is no clip. @param {View} view */
export function viewNode(view) {
  if (view.kind === "text") return scrollBox(said(view.text ?? "", view.turns));
  if (view.kind === "messages") return scrollBox(said(view.messages ?? [], view.turns));
  const why = view.kind === "missing" ? view.message : null;
  return el("div", { class: "missing" }, el("p", { t: "missing" }), why ? el("p", { class: "small" }, why) : null);
}

/** Whether an option cannot be judged here. @param {View} view */
export function unseen(view) {
  return !["text", "messages", "clip"].includes(view.kind);
}

/**
 * A text or messages, in the way that is chosen.
 * @param {string | Message[]} stored
 * @param {Turn[] | null | undefined} turns formatted; null where that would be too much
 */
function said(stored, turns) {
  const node = el("div", { class: "said" });
  const draw = () => {
    if (!raw && turns) return [turns.length === 1 && turns[0].role === null ? rich(turns[0].nodes) : spoken(turns)];
    const plain = typeof stored === "string" ? textNode(stored) : bubbles(stored.map(({ role, content }) => bubble(role, textNode(content))));
    return raw ? [plain] : [el("p", { class: "small as-it-is", t: "asItIs" }), plain];
  };
  drawings.set(node, draw);
  node.append(...draw());
  return node;
}

/** Text as it is, with its own direction; an empty one is said to be empty. @param {string} text */
function textNode(text) {
  if (text === "") return empty();
  const node = el("div", { class: "text", dir: "auto" });
  node.textContent = text;
  return node;
}

/** @param {import("./rich.js").RichNode[]} nodes */
function rich(nodes) {
  return nodes.length === 0 ? empty() : el("div", { class: "text rich", dir: "auto" }, ...richNodes(nodes));
}

function empty() {
  return el("p", { class: "text empty", t: "emptyText" });
}

/** @param {Turn[]} turns */
function spoken(turns) {
  return bubbles(turns.map(({ role, nodes }) => bubble(role ?? "", rich(nodes))));
}

/** @param {Node[]} inside */
function bubbles(inside) {
  return el("div", { class: "bubbles" }, ...inside);
}

/** @param {string} role @param {Node} text */
function bubble(role, text) {
  const known = ROLES.has(role);
  const who = known ? el("span", { class: "who", t: `role.${role}` }) : el("span", { class: "who" }, role);
  return el("div", { class: `bubble ${known ? role : "other"}` }, who, text);
}
