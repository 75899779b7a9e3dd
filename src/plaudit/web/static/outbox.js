// The outbox: an answer is kept here before it is sent, and until the server has acknowledged it.
import { Refusal, Unreachable, post } from "./api.js";

/**
 * @typedef {{client_uuid: string, query_id: number, shown_order: number[], feedback: any, active_ms: number | null,
 *   supersedes: string | null}} Answer
 * @typedef {{n: number, owner: string, at: number, body: Answer, task: any}} Waiting
 * @typedef {{kind: "count", waiting: number, trouble: Refusal | Unreachable | null}
 *   | {kind: "sent", waiting: Waiting, receipt: any}
 *   | {kind: "elsewhere"}
 *   | {kind: "refused", waiting: Waiting, problem: Refusal}} News
 */

const FIRST_DELAY = 1000;
const LONGEST_DELAY = 15_000;

export class Outbox {
  #keep;
  #owner;
  #tell;
  #channel = new BroadcastChannel("plaudit-outbox");
  #timer = 0;
  #failures = 0;
  #sending = false;
  #again = false;
  /** @type {Refusal | Unreachable | null} */
  #trouble = null;

  /**
   * @param {import("./keep.js").Keep} keep
   * @param {string} owner whose answers these are: nobody else's are sent
   * @param {(news: News) => void} tell
   */
  constructor(keep, owner, tell) {
    this.#keep = keep;
    this.#owner = owner;
    this.#tell = tell;
    this.#channel.onmessage = () => this.#changedElsewhere();
    addEventListener("online", () => this.sendNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.sendNow());
    addEventListener("beforeunload", (event) => {
      if (this.count > 0) event.preventDefault();
    });
    /** How many answers wait; as of the last look. */
    this.count = 0;
  }

  /** What waits, oldest first. @returns {Promise<Waiting[]>} */
  async waiting() {
    const records = (await this.#keep.all("outbox")).filter((record) => record.owner === this.#owner);
    this.count = records.length;
    return records;
  }

  /** Keep an answer, then send it. Resolves once it is kept. @param {Answer} body @param {any} task */
  async add(body, task) {
    await this.#keep.add("outbox", { owner: this.#owner, at: Date.now(), body, task });
    await this.#report();
    this.#channel.postMessage("changed");
    if (this.#failures === 0) this.#send();
  }

  /** Try at once, whatever went wrong before. */
  sendNow() {
    this.#failures = 0;
    this.#send();
  }

  async #changedElsewhere() {
    this.#tell({ kind: "elsewhere" });
    await this.#report();
    if (this.count > 0 && !this.#timer) this.#later(FIRST_DELAY); // should that tab be closed, this one sends
  }

  async #report() {
    await this.waiting();
    if (this.count === 0) this.#trouble = null;
    this.#tell({ kind: "count", waiting: this.count, trouble: this.#trouble });
  }

  async #send() {
    if (this.#sending) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#sending = true;
    try {
      await alone(() => this.#drain());
      this.#failures = 0;
      this.#trouble = null;
    } catch (problem) {
      if (!(problem instanceof Refusal || problem instanceof Unreachable)) throw problem;
      this.#trouble = problem;
      this.#failures += 1;
      const signedOut = problem instanceof Refusal && problem.status === 401; // no use before the person has done something
      if (!signedOut) this.#later(delay(this.#failures, problem));
    } finally {
      this.#sending = false;
    }
    await this.#report();
    if (this.#again && this.#failures === 0) this.#send();
    this.#again = false;
  }

  /** @param {number} milliseconds */
  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), milliseconds);
  }

  /** One after the other: a correction must reach the server after what it corrects. */
  async #drain() {
    for (let records = await this.waiting(); records.length > 0; records = await this.waiting()) {
      await this.#deliver(records[0]);
      await this.#report();
      this.#channel.postMessage("changed");
    }
  }

  /** @param {Waiting} waiting */
  async #deliver(waiting) {
    let receipt;
    try {
      receipt = await post("/api/answers", waiting.body);
    } catch (problem) {
      if (!(problem instanceof Refusal) || problem.passing) throw problem;
      await this.#keep.change([], [["outbox", waiting.n]]);
      this.#tell({ kind: "refused", waiting, problem });
      return;
    }
    const uuid = waiting.body.client_uuid;
    if (receipt?.client_uuid !== uuid) throw new Unreachable("a receipt for something else");
    const kept = { client_uuid: uuid, owner: this.#owner, at: Date.now(), receipt };
    await this.#keep.change([["receipts", kept]], [["outbox", waiting.n]]);
    this.#tell({ kind: "sent", waiting, receipt });
  }
}

/** One tab sends at a time, where the browser can arrange it; the server takes a repeat as what it is. */
async function alone(work) {
  if (navigator.locks) await navigator.locks.request("plaudit-outbox", work);
  else await work();
}

/** Twice as long each time, up to a limit, and never in step with others. */
function delay(failures, problem) {
  const grown = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
  return Math.max(grown, problem instanceof Refusal ? 1000 * problem.retryAfter : 0);
}
