// Which of two is better: first, second, equal, or both bad.
import { askAtOnce, shown } from "./options.js";

const ANSWERS = [
  { key: "1", answer: "first", t: "firstBetter", tone: "first" },
  { key: "=", answer: "equal", t: "equal" },
  { key: "2", answer: "second", t: "secondBetter", tone: "second" },
  { key: "0", answer: "both_bad", t: "bothBad", tone: "bad" },
  { key: "s", answer: "skip", t: "skip", tone: "quiet" },
];

export const heading = { text: "ask.textPair", clip: "ask.clipPair" };

/** @type {import("./ask.js").Help} */
export const help = {
  title: "help.pairs",
  rows: [["1", "firstBetter"], ["2", "secondBetter"], ["=", "equal"], ["0", "bothBad"]],
};

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function ask(scene) {
  const send = (answer) => scene.send({ kind: "comparison", options: shown(scene.task), answer });
  return askAtOnce(
    scene,
    ANSWERS.map(({ answer, ...action }) => ({ ...action, was: scene.before?.answer === answer, run: () => send(answer) })),
  );
}
