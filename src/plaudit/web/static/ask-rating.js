// How good one thing is, on a scale.
import { el } from "./dom.js";
import { askAtOnce } from "./options.js";

export const heading = { text: "ask.textRating", clip: "ask.clipRating" };

/** @type {import("./ask.js").Help} */
export const help = { title: "help.rating", rows: [["1–5", "rateKeys"]] };

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function ask(scene) {
  const { criterion, low, high } = scene.task.scale ?? { criterion: "overall", low: 1, high: 5 };
  const option = scene.task.options[0].sha256;
  const feedback = (value) => ({ kind: "rating", option, criterion, value, low, high });
  const values = Array.from({ length: high - low + 1 }, (_, step) => low + step);
  const ends = { [low]: "worst", [high]: "best" };
  const rate = (value) => ({
    key: String(value),
    t: ends[value] ?? "nothing",
    tone: "value",
    was: scene.before?.value === value,
    run: () => scene.send(feedback(value)),
  });
  const skip = { key: "s", t: "skip", tone: "quiet", was: scene.before?.value === null, run: () => scene.send(feedback(null)) };
  const about = criterion === "overall" ? null : el("p", { class: "criterion", t: ["criterion", { criterion }] });
  return askAtOnce(scene, [...values.map(rate), skip], about);
}
