// The questions this tab holds: the one on screen and two more, so that nobody waits and offline is survivable.
import { Refusal, post } from "./api.js";

/**
 * @typedef {{kind: string, text?: string, messages?: Message[], turns?: Turn[] | null, clip?: Clip,
 *   message?: string}} View
 * @typedef {{role: string, content: string}} Message
 * @typedef {{role: string | null, nodes: import("./rich.js").RichNode[]}} Turn formatted
 * @typedef {{width: number, height: number, frames: number, columns: number, fps: number,
 *   sheets: {sha256: string, first: number, frames: number}[],
 *   end?: null | {how: "terminated" | "time_limit", frame: number}}} Clip `end`: of the episode, and on which frame
 * @typedef {{query_id: number, kind: string, shown_order: number[], prompt: null | string | Message[],
 *   prompt_turns: null | Turn[], question: string | null, scale?: null | {criterion: string, low: number, high: number},
 *   options: {sha256: string, view: View}[]}} Task `scale`: ratings only
 * @typedef {"asking" | "none" | "finished" | "unreachable"} Supply why there may be no question
 */

const HELD = 3;
const FIRST_PAUSE = 2000;
const LONGEST_PAUSE = 10_000;
const AWAY = 300_000; // ms without an input after which questions at hand are no longer asked to stay

export class Questions {
  #owner;
  #changed;
  #unsent;
  #told;
  /** @type {Map<number, () => void>} what lets go of a question that this tab has claimed */
  #claims = new Map();
  /** @type {Set<number>} */
  #done = new Set();
  #timer = 0;
  #pause = FIRST_PAUSE;
  #asking = false;
  #input = performance.now();
  #leased = { at: performance.now(), seconds: 900 };

  /**
   * @param {string} owner
   * @param {() => Promise<number[]>} unsent ids whose answers are on their way
   * @param {() => void} changed
   * @param {(state: import("./api.js").State) => void} told what the trainer does, at every answer of the server
   */
  constructor(owner, unsent, changed, told) {
    this.#owner = owner;
    this.#unsent = unsent;
    this.#changed = changed;
    this.#told = told;
    /** @type {Task[]} the first one is on screen */
    this.held = [];
    /** @type {Supply} */
    this.supply = "asking";
    document.addEventListener("visibilitychange", () => document.hidden || this.soon());
    addEventListener("online", () => this.soon());
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      addEventListener(name, () => this.#awake(), { passive: true, capture: true });
    }
  }

  /** Have as many questions at hand as may be held. */
  async fill() {
    if (this.#asking) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    const before = this.held.length;
    try {
      while (this.held.length < HELD && (await this.#ask()) > 0);
    } catch (problem) {
      if (problem instanceof Refusal && problem.status === 401) return;
      this.supply = "unreachable";
    } finally {
      this.#asking = false;
    }
    if (this.held.length > before) this.#pause = FIRST_PAUSE;
    if (this.held.length < HELD && this.supply !== "finished") this.#later();
    this.#changed();
  }

  /** This question is answered. @param {number} id */
  finish(id) {
    this.#done.add(id);
    this.#release(id);
    this.fill();
  }

  /** Keep what is held from going to somebody else; drops what has gone. Gives whether anything has. */
  async renew() {
    if (performance.now() - this.#leased.at < 500 * this.#leased.seconds || this.held.length === 0) return false;
    const mine = new Set(this.held.map((task) => task.query_id));
    const besides = (await this.#besides()).filter((id) => !mine.has(id));
    const reply = await post("/api/tasks", { count: this.held.length, besides });
    this.#leased = { at: performance.now(), seconds: reply.lease_seconds };
    const still = new Set(reply.tasks.map((task) => task.query_id));
    const gone = [...mine].filter((id) => !still.has(id));
    for (const id of gone) this.#release(id);
    for (const task of reply.tasks) await this.#take(task);
    return gone.length > 0;
  }

  /** Give everything back, for when somebody leaves. */
  async giveBack() {
    clearTimeout(this.#timer);
    for (const { query_id } of this.held) await post(`/api/tasks/${query_id}/release`, {}).catch(() => {});
    for (const { query_id } of [...this.held]) this.#release(query_id);
  }

  /** @returns {Promise<number>} how many came */
  async #ask() {
    const reply = await post("/api/tasks", { count: HELD - this.held.length, besides: await this.#besides() });
    this.#leased = { at: performance.now(), seconds: reply.lease_seconds };
    this.supply = reply.more || reply.tasks.length > 0 ? "none" : "finished";
    this.#told(reply.state);
    let came = 0;
    for (const task of reply.tasks) came += Number(await this.#take(task));
    if (came > 0) this.#changed();
    return came;
  }

  /** What the server must not send: held here or in another tab, or answered and on its way. */
  async #besides() {
    const ids = new Set([...this.held.map((task) => task.query_id), ...(await this.#unsent())]);
    const locks = (await navigator.locks?.query())?.held ?? [];
    for (const { name } of locks) {
      if (name?.startsWith(this.#claim(""))) ids.add(Number(name.slice(this.#claim("").length)));
    }
    return [...ids].slice(-100);
  }

  /** @param {Task} task */
  async #take(task) {
    const id = task.query_id;
    if (this.#done.has(id) || this.held.some((held) => held.query_id === id)) return false;
    if ((await this.#unsent()).includes(id)) return false;
    if (navigator.locks && !(await this.#claimed(id))) return false;
    this.held.push(task);
    return true;
  }

  /** A lock for as long as this tab holds the question: other tabs of the same person leave it alone. */
  #claimed(id) {
    return new Promise((resolve) => {
      navigator.locks.request(this.#claim(id), { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((free) => this.#claims.set(id, () => free(undefined)));
      });
    });
  }

  /** @param {number | string} id */
  #claim(id) {
    return `plaudit-question/${this.#owner}/${id}`;
  }

  /** @param {number} id */
  #release(id) {
    this.held = this.held.filter((task) => task.query_id !== id);
    this.#claims.get(id)?.();
    this.#claims.delete(id);
  }

  /** Ask again after a while that grows, and only while somebody looks. */
  #later() {
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 1.5);
    this.#timer = setTimeout(() => document.hidden || this.#away() || this.fill(), pause);
  }

  /** Whether somebody left with questions at hand: asking would keep these from others for ever. */
  #away() {
    return this.held.length > 0 && performance.now() - this.#input > AWAY;
  }

  #awake() {
    const back = this.#away();
    this.#input = performance.now();
    if (back) this.soon();
  }

  /** Something has changed: there may be questions again. */
  soon() {
    this.#pause = FIRST_PAUSE;
    if (this.held.length < HELD && this.supply !== "asking") this.fill();
  }
}
