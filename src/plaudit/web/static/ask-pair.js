// Which of two is better: first, second, equal, or both bad.
import { el } from "./dom.js";
import { optionCards, shown } from "./options.js";

const ANSWERS = [
  { key: "1", answer: "first", t: "firstBetter", tone: "first" },
  { key: "=", answer: "equal", t: "equal" },
  { key: "2", answer: "second", t: "secondBetter", tone: "second" },
  { key: "0", answer: "both_bad", t: "bothBad", tone: "bad" },
];

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function askPair(scene) {
  const cards = optionCards(scene);
  const feedback = (answer) => ({ kind: "comparison", options: shown(scene.task), answer });
  const body = el("div", {}, cards.body, cards.bar);
  return {
    body,
    actions: () => [
      ...ANSWERS.map(({ answer, ...action }) => ({
        ...action,
        was: scene.before?.answer === answer,
        run: () => scene.send(feedback(answer)),
      })),
      { key: "s", t: "skip", tone: "quiet", was: scene.before?.answer === "skip", run: () => scene.send(feedback("skip")) },
    ],
    keys: cards.keys,
    work: () => null,
    close: cards.close,
  };
}
