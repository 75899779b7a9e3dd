// The options of a question as numbered cards, clips among them in one player.
import { openPlayer } from "./clips.js";
import { el } from "./dom.js";
import { viewNode } from "./views.js";

/**
 * @typedef {{key: string, t: string, params?: any, run: () => void, tone?: string, was?: boolean, off?: boolean}} Action
 *   a button of the bar and its key; `was`: the earlier answer; `off`: not yet possible
 * @typedef {{body: Node, actions: () => Action[], keys: Record<string, () => void>, work: () => any,
 *   close: () => void}} Ask a question on screen; `keys` are those without a button in the bar
 * @typedef {{task: import("./questions.js").Task, pictures: import("./pictures.js").Pictures, before: any, work: any,
 *   send: (feedback: any) => void, changed: () => void}} Scene `before`: the answer to correct; `work`: of a draft
 */

/**
 * @param {Scene} scene
 * @param {(place: number) => Node[]} [extra] what else a card holds
 */
export function optionCards({ task, pictures }, extra = () => []) {
  const clips = task.options.flatMap(({ view }) => (view.kind === "clip" && view.clip ? [view.clip] : []));
  const player = clips.length > 0 ? openPlayer(clips, pictures) : null;
  const screens = [...(player?.nodes ?? [])];
  const one = task.options.length === 1;
  const cards = task.options.map(({ view }, place) => {
    const head = one ? [] : [el("span", { class: "badge", "aria-hidden": "true" }, String(place + 1))];
    const shown = view.kind === "clip" ? (screens.shift() ?? null) : viewNode(view);
    const name = one ? {} : { label: ["option", { n: place + 1 }] };
    return el("article", { class: `card option ${view.kind}`, ...name }, el("header", {}, ...head, ...extra(place)), shown);
  });
  const shape = one ? "single" : cards.length === 2 ? "pair" : "many";
  const wide = clips.some(({ width, height }) => width > 1.2 * height) ? "wide" : "";
  return {
    body: el("div", { class: `options ${shape} ${player ? `clips ${wide}` : ""}` }, ...cards),
    cards,
    bar: player?.bar ?? null,
    keys: player?.keys ?? {},
    close: () => player?.close(),
  };
}

/**
 * A question that one press answers: nothing is half done in between.
 * @param {Scene} scene
 * @param {Action[]} actions
 * @param {Node | null} [about] what stands above the options
 * @returns {Ask}
 */
export function askAtOnce(scene, actions, about = null) {
  const cards = optionCards(scene);
  return {
    body: el("div", {}, about, cards.body, cards.bar),
    actions: () => actions,
    keys: cards.keys,
    work: () => null,
    close: cards.close,
  };
}

/** The ids of the options in the order in which they were shown. @param {import("./questions.js").Task} task */
export function shown(task) {
  return task.options.map((option) => option.sha256);
}
