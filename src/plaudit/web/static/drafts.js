// A question half answered, for the case that the page is loaded again: what is placed so far and the time it took.

/** @typedef {{active_ms: number, work: any, at: number}} Draft */

const DAY = 86_400_000;
const PREFIX = "plaudit-draft/";

/** @param {string} owner @param {string} what */
const place = (owner, what) => `${PREFIX}${owner}/${what}`;

/** @param {string} owner @param {string} what @returns {Draft | null} */
export function readDraft(owner, what) {
  try {
    return JSON.parse(localStorage.getItem(place(owner, what)) ?? "null");
  } catch {
    return null; // a draft is a convenience
  }
}

/** @param {string} owner @param {string} what @param {number} active_ms @param {any} work */
export function writeDraft(owner, what, active_ms, work) {
  try {
    localStorage.setItem(place(owner, what), JSON.stringify({ active_ms, work, at: Date.now() }));
  } catch {
    // a browser that keeps nothing, or no room: the answer itself goes to the outbox all the same
  }
}

/** @param {string} owner @param {string} what */
export function dropDraft(owner, what) {
  try {
    localStorage.removeItem(place(owner, what));
  } catch {
    // nothing was kept
  }
}

/** Forget what nobody came back for. */
export function dropOldDrafts() {
  try {
    for (const name of Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))) {
      const at = JSON.parse(localStorage.getItem(name) ?? "null")?.at ?? 0;
      if (Date.now() - at > DAY) localStorage.removeItem(name);
    }
  } catch {
    // nothing was kept
  }
}
