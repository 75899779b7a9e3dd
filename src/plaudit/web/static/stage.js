// Where a question stands on the page: heading, prompt, options, and the bar of answers.
import { kindOf } from "./ask.js";
import { byId, el } from "./dom.js";
import { keyed } from "./keys.js";
import { readingTools } from "./reading.js";
import { promptNode, unseen } from "./views.js";
import { say } from "./words.js";

/** @typedef {import("./options.js").Action} Action */

/**
 * @param {import("./questions.js").Task} task
 * @param {import("./options.js").Ask} ask
 * @param {boolean} fixing whether an earlier answer is being corrected
 */
export function drawQuestion(task, ask, fixing) {
  const heading = byId("ask");
  heading.removeAttribute("data-t");
  if (task.question) heading.textContent = task.question;
  else say(heading, kindOf(task).heading[task.options.some(({ view }) => view.kind === "clip") ? "clip" : "text"]);
  byId("fixing").hidden = !fixing;
  byId("question").replaceChildren(...[promptNode(task), readingTools(task), ask.body].filter((node) => node !== null));
  byId("stage").hidden = false;
  byId("empty").hidden = true;
  Object.assign(byId("stage").dataset, { query: String(task.query_id), kind: task.kind, fixing: String(fixing) });
  window.scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

/** Nothing is on screen. */
export function clearStage() {
  byId("question").replaceChildren();
  byId("actions").replaceChildren();
  byId("stage").hidden = true;
  delete byId("stage").dataset.query;
}

/**
 * What can be done now. Where an option cannot be seen, that is to skip.
 * @param {import("./questions.js").Task} task
 * @param {import("./options.js").Ask} ask
 * @returns {Action[]}
 */
export function offered(task, ask) {
  const blind = task.options.some(({ view }) => unseen(view));
  return ask.actions().map((action) => ({ ...action, off: action.off || (blind && action.key !== "s") }));
}

/**
 * The bar: answers, and what is always there.
 * @param {import("./questions.js").Task} task
 * @param {Action[]} actions
 * @param {{undo: Action, back: Action | null, help: Action}} always
 */
export function drawActions(task, actions, { undo, back, help }) {
  const main = actions.filter((action) => action.tone !== "quiet");
  const side = [...actions.filter((action) => action.tone === "quiet"), undo, ...(back ? [back] : []), help];
  const focused = document.activeElement?.getAttribute("data-key");
  byId("actions").replaceChildren(
    el("div", { class: `answers ${task.kind}`, role: "group", label: "answers" }, ...main.map(button)),
    el("div", { class: "side" }, ...side.map(button)),
  );
  if (focused) byId("actions").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** @param {Action} action */
function button(action) {
  const { key, t, params, run, tone, was, off } = action;
  const text = t === "nothing" ? null : el("span", { t: [t, params] });
  const props = { type: "button", class: `action ${tone ?? ""}`, "data-key": key, disabled: off, click: run };
  return el("button", { ...props, "aria-current": was ? "true" : null }, ...keyed(action), text);
}
