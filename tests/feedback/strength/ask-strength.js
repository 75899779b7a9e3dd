// How much better one of two is.
import { askAtOnce, shown } from "./options.js";

export const heading = { text: "strength.ask", clip: "strength.ask" };
export const words = {
  en: { "strength.ask": "How much better is one of the two?", "strength.step": "{n} steps" },
  zh: { "strength.ask": "其中一个好多少？", "strength.step": "{n} 步" },
};
/** @type {import("./ask.js").Help} */
export const help = { title: "strength.ask", rows: [["1–7", "strength.ask"]] };

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function ask(scene) {
  const most = scene.task.steps;
  const send = (strength) => scene.send({ kind: "strength", options: shown(scene.task), strength });
  const steps = Array.from({ length: 2 * most + 1 }, (_, place) => most - place);
  return askAtOnce(scene, [
    ...steps.map((n, place) => ({ key: `${place + 1}`, t: "strength.step", params: { n }, run: () => send(n) })),
    { key: "s", t: "skip", tone: "quiet", run: () => send(null) },
  ]);
}
