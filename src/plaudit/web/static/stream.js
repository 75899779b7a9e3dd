// Server-sent events that come back by themselves, also where the browser has given up.
import { Refusal, get } from "./api.js";

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15_000;

/**
 * @param {string} path
 * @param {string} event
 * @param {(value: any) => void} take
 * @param {(connected: boolean) => void} tell
 */
export function follow(path, event, take, tell) {
  let pause = FIRST_PAUSE;
  function open() {
    const source = new EventSource(path);
    source.addEventListener(event, (message) => {
      pause = FIRST_PAUSE;
      tell(true);
      take(JSON.parse(message.data));
    });
    source.addEventListener("error", () => {
      tell(false);
      source.close(); // its own pauses do not grow
      setTimeout(again, pause * (0.75 + Math.random() / 2));
      pause = Math.min(LONGEST_PAUSE, pause * 1.6);
    });
  }
  async function again() {
    try {
      await get("/api/me"); // says whether the session has ended, which an event source does not
    } catch (problem) {
      if (problem instanceof Refusal && problem.status === 401) return;
    }
    open();
  }
  open();
}
