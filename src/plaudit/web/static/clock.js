// How long a person was at a question: the page visible and an input within the last minute.

const AWAKE = 60_000; // ms that one input counts for
const INPUTS = ["keydown", "pointerdown", "pointermove", "wheel", "touchstart", "scroll"];

export class ActiveClock {
  #total;
  #mark = performance.now();
  #input = performance.now();
  #visible = !document.hidden;
  #stop = new AbortController();

  /** @param {number} before milliseconds of an earlier look at the same question */
  constructor(before = 0) {
    this.#total = before;
    const options = { signal: this.#stop.signal, passive: true, capture: true };
    const input = () => {
      this.#count();
      this.#input = this.#mark;
    };
    for (const name of INPUTS) addEventListener(name, input, options);
    document.addEventListener("visibilitychange", () => this.#count(), options);
  }

  /** Active milliseconds up to now. */
  read() {
    this.#count();
    return Math.round(this.#total);
  }

  /** When the last input was, by performance.now(). */
  get lastInput() {
    return this.#input;
  }

  close() {
    this.#stop.abort();
  }

  #count() {
    const now = performance.now();
    if (this.#visible) this.#total += Math.max(0, Math.min(now, this.#input + AWAKE) - this.#mark);
    this.#mark = now;
    this.#visible = !document.hidden;
  }
}
