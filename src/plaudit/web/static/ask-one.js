// One thing to judge: a rating on a scale, or a thumb.
import { el } from "./dom.js";
import { optionCards } from "./options.js";

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function askRating(scene) {
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
  return one(scene, [...values.map(rate), skip], about);
}

/** @param {import("./options.js").Scene} scene @returns {import("./options.js").Ask} */
export function askThumb(scene) {
  const option = scene.task.options[0].sha256;
  const feedback = (good) => ({ kind: "binary", option, good });
  const action = (key, t, tone, good) => ({
    key, t, tone, was: scene.before?.good === good, run: () => scene.send(feedback(good)),
  });
  return one(
    scene,
    [action("1", "thumbUp", "first", true), action("2", "thumbDown", "bad", false), action("s", "skip", "quiet", null)],
    null,
  );
}

function one(scene, actions, about) {
  const cards = optionCards(scene);
  return {
    body: el("div", {}, about, cards.body, cards.bar),
    actions: () => actions,
    keys: cards.keys,
    work: () => null,
    close: cards.close,
  };
}
