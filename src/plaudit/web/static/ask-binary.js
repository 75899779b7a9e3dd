// Whether one thing is good: a thumb up or down.
import { askAtOnce } from "./options.js";

export const heading = { text: "ask.textThumb", clip: "ask.clipThumb" };

/** @type {import("./ask.js").Help} */
export const help = { title: "help.thumbs", rows: [["1", "thumbUp"], ["2", "thumbDown"]] };

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function ask(scene) {
  const option = scene.task.options[0].sha256;
  const feedback = (good) => ({ kind: "binary", option, good });
  const action = (key, t, tone, good) => ({
    key, t, tone, was: scene.before?.good === good, run: () => scene.send(feedback(good)),
  });
  return askAtOnce(scene, [
    action("1", "thumbUp", "first", true), action("2", "thumbDown", "bad", false), action("s", "skip", "quiet", null),
  ]);
}
