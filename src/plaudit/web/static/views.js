// What people look at: prompts, texts and conversations. All of it is text, never HTML.
import { el } from "./dom.js";

/** @typedef {import("./questions.js").View} View @typedef {import("./questions.js").Message} Message */

const ROLES = new Set(["system", "user", "assistant", "tool"]);

/** Text as it is, with its own direction; an empty one is said to be empty. @param {string} text */
export function textNode(text) {
  if (text === "") return el("p", { class: "text empty", t: "emptyText" });
  const node = el("div", { class: "text", dir: "auto" });
  node.textContent = text;
  return node;
}

/** A conversation as bubbles. @param {Message[]} messages */
export function bubbles(messages) {
  return el("div", { class: "bubbles" }, ...messages.map(bubble));
}

/** @param {Message} message */
function bubble({ role, content }) {
  const known = ROLES.has(role);
  const who = known ? el("span", { class: "who", t: `role.${role}` }) : el("span", { class: "who" }, role);
  return el("div", { class: `bubble ${known ? role : "other"}` }, who, textNode(content));
}

/** What the options answer to; null where there is nothing to show. @param {null | string | Message[]} prompt */
export function promptNode(prompt) {
  if (prompt === null || prompt.length === 0) return null;
  const inside = typeof prompt === "string" ? textNode(prompt) : bubbles(prompt);
  const head = el("h2", { t: "prompt" });
  return el("section", { class: "prompt", tabindex: 0, label: "prompt" }, head, inside);
}

/** An option that is no clip. @param {View} view */
export function viewNode(view) {
  if (view.kind === "text") return textNode(view.text ?? "");
  if (view.kind === "messages") return bubbles(view.messages ?? []);
  const why = view.kind === "missing" ? view.message : null;
  return el("div", { class: "missing" }, el("p", { t: "missing" }), why ? el("p", { class: "small" }, why) : null);
}

/** Whether an option cannot be judged here. @param {View} view */
export function unseen(view) {
  return !["text", "messages", "clip"].includes(view.kind);
}
