// An order of several options, best first, ties allowed: number keys place, arrows move, or drag.
import { el } from "./dom.js";
import { dragItems } from "./drag.js";
import { announce } from "./notices.js";
import { optionCards, shown } from "./options.js";
import { between, stepped, tied, tierOf, without } from "./ranks.js";

export const heading = { text: "ask.textRanking", clip: "ask.clipRanking" };

/** @type {import("./ask.js").Help} */
export const help = {
  title: "help.ranking",
  rows: [["1–9", "placeKeys"], ["↑ ↓", "moveKeys"], ["=", "tieUp"], ["⌫", "takeOut"], ["↵", "sendOrder"]],
};

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function ask(scene) {
  const count = scene.task.options.length;
  let tiers = /** @type {number[][]} */ (scene.work ?? scene.before?.order ?? []);
  let chosen = tiers.flat().at(-1) ?? -1;
  const tray = el("section", { class: "tray card", label: "ranking" });
  const cards = optionCards(scene, (place) => [el("span", { class: "rank" }), placeButton(place, press)]);

  function change(next) {
    tiers = next;
    scene.changed();
    draw();
  }

  function press(item, byKeyboard) {
    const placed = tierOf(tiers, item) >= 0;
    chosen = item;
    change(placed ? tiers : [...tiers, [item]]);
    announce("placed", { option: item + 1, n: tierOf(tiers, item) + 1 });
    if (byKeyboard) tray.querySelector(`[data-item="${item}"]`)?.focus();
  }

  function move(way) {
    if (tierOf(tiers, chosen) < 0) return;
    change(stepped(tiers, chosen, way));
    announce("placed", { option: chosen + 1, n: tierOf(tiers, chosen) + 1 });
  }

  function tie() {
    const index = tierOf(tiers, chosen);
    if (index > 0) change(tied(tiers, chosen, index - 1));
  }

  function drop(item, target) {
    chosen = item;
    if (target.place === "pool") change(without(tiers, item));
    else change((target.place === "tied" ? tied : between)(tiers, item, target.index));
  }

  function draw() {
    const focused = document.activeElement?.getAttribute("data-item");
    tray.replaceChildren(...trayParts(tiers, chosen, scene.task, press));
    if (focused) tray.querySelector(`[data-item="${focused}"]`)?.focus();
    for (const [place, card] of cards.cards.entries()) {
      const index = tierOf(tiers, place);
      card.classList.toggle("placed", index >= 0);
      card.querySelector(".rank").replaceChildren(index < 0 ? "" : el("span", { t: ["rank", { n: index + 1 }] }));
    }
  }

  const send = (order) => scene.send({ kind: "ranking", options: shown(scene.task), order });
  const complete = () => tiers.flat().length === count;
  dragItems(tray, drop);
  draw();
  return {
    body: el("div", { class: "ranking" }, el("div", {}, cards.body, cards.bar), tray),
    actions: () => [
      { key: "Enter", t: "sendOrder", tone: "first", off: !complete(), run: () => complete() && send(tiers) },
      { key: "↑", t: "moveUp", off: tierOf(tiers, chosen) < 0, run: () => move(-1) },
      { key: "↓", t: "moveDown", off: tierOf(tiers, chosen) < 0, run: () => move(1) },
      { key: "=", t: "tieUp", off: tierOf(tiers, chosen) < 1, run: tie },
      { key: "⌫", t: "takeOut", off: tierOf(tiers, chosen) < 0, run: () => change(without(tiers, chosen)) },
      { key: "s", t: "skip", tone: "quiet", run: () => send(null) },
    ],
    keys: {
      ...cards.keys,
      ...Object.fromEntries(Array.from({ length: Math.min(9, count) }, (_, place) => [`${place + 1}`, () => press(place, false)])),
    },
    work: () => tiers,
    close: cards.close,
  };
}

/** The button on a card that gives its option the next place. */
function placeButton(place, press) {
  const act = (event) => press(place, event.detail === 0);
  const name = { t: "place", label: ["placeOption", { n: place + 1 }] };
  return el("button", { type: "button", class: "quiet small place", ...name, click: act });
}

/** The tiers, best first, and below them what has no place yet. */
function trayParts(tiers, chosen, task, press) {
  const chip = (item) => chipNode(item, item === chosen, task, (event) => press(item, event.detail === 0));
  const rows = tiers.map((tier, index) =>
    el("li", { class: "tier" }, el("span", { class: "place-number", t: ["rank", { n: index + 1 }] }), ...tier.map(chip)),
  );
  const rest = task.options.map((_, place) => place).filter((place) => tierOf(tiers, place) < 0);
  return [
    el("h2", { t: "order" }),
    el("p", { class: "small", t: "orderHelp" }),
    tiers.length > 0 ? el("ol", { class: "tiers" }, ...rows) : null,
    el("div", { class: "pool", hidden: rest.length === 0 }, el("span", { class: "small", t: "unplaced" }), ...rest.map(chip)),
  ].filter((part) => part !== null);
}

function chipNode(item, chosen, task, act) {
  const text = task.options[item].view.text ?? "";
  const short = text.length > 40 ? `${[...text].slice(0, 39).join("")}…` : text;
  const props = { type: "button", class: "chip", "data-item": item, "aria-pressed": chosen ? "true" : "false", click: act };
  return el("button", props, el("b", {}, String(item + 1)), el("span", {}, short));
}
