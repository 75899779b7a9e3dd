// What the trainer does while somebody is at the questions: whether it still waits for answers, and learns from them.
import { get, owner } from "./api.js";
import { byId } from "./dom.js";
import { say } from "./words.js";

const LOOK = 10_000; // ms
const WORTH_SAYING = new Set(["alone", "paused", "down", "over"]);

/**
 * Look now and then while the page is seen.
 * @param {import("./api.js").Me} me
 * @param {() => void} changed
 * @returns {{state: import("./api.js").State, heard: (state: import("./api.js").State) => void}}
 */
export function followTrainer(me, changed) {
  const trainer = { state: me.state, heard };

  function heard(state) {
    if (state === trainer.state) return;
    trainer.state = state;
    changed();
  }

  async function look() {
    if (document.hidden || byId("main").hidden || trainer.state === "label") return; // there is none, or nobody looks
    const now = await get("/api/me").catch(() => null);
    if (now === null) return;
    if (owner(now) === owner(me)) heard(now.state);
    else location.reload(); // another tab signed somebody else in
  }

  setInterval(look, LOOK);
  return trainer;
}

/** Say beside a question what has changed since it was asked. @param {import("./api.js").State} state */
export function sayMeanwhile(state) {
  const note = byId("meanwhile");
  note.hidden = !WORTH_SAYING.has(state);
  if (!note.hidden) say(note, `meanwhile.${state}`);
}
