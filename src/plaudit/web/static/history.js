// The last ten answers of a person, newest first, for undo: from the server, and what is not there yet.
import { get } from "./api.js";

/** @typedef {{client_uuid: string, feedback: any, task: import("./questions.js").Task}} Entry */

const LENGTH = 10;
const PATIENCE = 2000; // ms

export class History {
  #stale = true;
  #waiting;

  /** @param {() => Promise<import("./outbox.js").Waiting[]>} waiting */
  constructor(waiting) {
    this.#waiting = waiting;
    /** @type {Entry[]} */
    this.entries = [];
  }

  /** Another tab has answered: look again when somebody asks. */
  spoil() {
    this.#stale = true;
  }

  /** @param {import("./outbox.js").Answer} body @param {any} task */
  add(body, task) {
    const { client_uuid, feedback, supersedes } = body;
    this.remove(supersedes);
    this.entries = [{ client_uuid, feedback, task }, ...this.entries].slice(0, LENGTH);
  }

  /** @param {string | null} uuid */
  remove(uuid) {
    this.entries = this.entries.filter((entry) => entry.client_uuid !== uuid);
  }

  /** Bring the list up to date where the server can be asked; else it stays as it is. */
  async refresh() {
    if (!this.#stale) return;
    const stored = (await Promise.race([get("/api/answers"), tooLate()])).answers;
    const unsent = (await this.#waiting()).reverse();
    const old = new Set(unsent.map(({ body }) => body.supersedes));
    const known = new Set(unsent.map(({ body }) => body.client_uuid));
    const both = [
      ...unsent.map(({ body, task }) => ({ client_uuid: body.client_uuid, feedback: body.feedback, task })),
      ...stored.filter(({ client_uuid }) => !known.has(client_uuid)),
    ];
    this.entries = both.filter(({ client_uuid }) => !old.has(client_uuid)).slice(0, LENGTH);
    this.#stale = false;
  }
}

/** Nobody waits long for a list that the page mostly knows. @returns {Promise<never>} */
function tooLate() {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("no list in time")), PATIENCE));
}
