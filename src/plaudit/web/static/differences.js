// Which words of two texts differ, marked in place: the browser colours ranges, and not a node is changed.

const NAME = "difference"; // as in label.css
const MOST = 3000; // words that are taken out or put in; beyond that the texts have too little in common to be compared

/** Whether this browser can mark. */
export const canMark = typeof Highlight === "function" && "Segmenter" in Intl;

/** Take the marks away. */
export function unmark() {
  if (canMark) CSS.highlights.delete(NAME);
}

/**
 * Mark what only one of the two has.
 * @param {Element} one
 * @param {Element} two
 * @returns {number} in how many places
 */
export function markDifferences(one, two) {
  const [first, second] = [wordsOf(one), wordsOf(two)];
  const [lone, other] = loneWords(first.map(({ word }) => word), second.map(({ word }) => word));
  const ranges = [...rangesOf(first, lone), ...rangesOf(second, other)];
  CSS.highlights.set(NAME, new Highlight(...ranges));
  return ranges.length;
}

/** @typedef {{word: string, node: Node, at: number}} Word @param {Element} element @returns {Word[]} */
function wordsOf(element) {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { segment, index } of segmenter.segment(node.nodeValue ?? "")) {
      if (segment.trim() !== "") found.push({ word: segment, node, at: index });
    }
  }
  return found;
}

/** @param {Word[]} words @param {boolean[]} marked @returns {Range[]} one for each run of words */
function rangesOf(words, marked) {
  /** @type {Range[]} */
  const ranges = [];
  for (const [place, { word, node, at }] of words.entries()) {
    if (!marked[place]) continue;
    if (!marked[place - 1]) {
      ranges.push(new Range());
      ranges[ranges.length - 1].setStart(node, at);
    }
    ranges[ranges.length - 1].setEnd(node, at + word.length);
  }
  return ranges;
}

/**
 * Which words of each are not among the most that both have in the same order (Myers 1986, "An O(ND) difference
 * algorithm and its variations", fig. 2).
 * @param {string[]} one
 * @param {string[]} two
 * @returns {[boolean[], boolean[]]}
 */
export function loneWords(one, two) {
  const lone = /** @type {[boolean[], boolean[]]} */ ([one.map(() => true), two.map(() => true)]);
  const trace = farthest(one, two);
  let [x, y] = trace ? [one.length, two.length] : [0, 0];
  const keep = () => (lone[0][--x] = lone[1][--y] = false);
  for (let d = (trace?.length ?? 0) - 1; d >= 0; d -= 1) {
    const before = d > 0 ? trace[d - 1] : null;
    const k = x - y;
    const down = k === -d || (k !== d && before[d - 1 + k - 1] < before[d - 1 + k + 1]);
    const left = d === 0 ? 0 : before[d - 1 + (down ? k + 1 : k - 1)];
    const start = d === 0 ? 0 : down ? left : left + 1;
    while (x > start) keep();
    if (d > 0) [x, y] = down ? [x, y - 1] : [x - 1, y];
  }
  return lone;
}

/**
 * For each number of differing words, how far along `one` each diagonal k gets (at the place k + that number).
 * @returns {Int32Array[] | null} null where more words differ than are looked for
 */
function farthest(one, two) {
  const trace = [];
  for (let d = 0; d <= MOST; d += 1) {
    const before = trace[d - 1];
    const now = new Int32Array(2 * d + 1);
    trace.push(now);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && before[d - 1 + k - 1] < before[d - 1 + k + 1]);
      let x = d === 0 ? 0 : down ? before[d - 1 + k + 1] : before[d - 1 + k - 1] + 1;
      while (x < one.length && x - k < two.length && one[x] === two[x - k]) x += 1;
      now[d + k] = x;
      if (x >= one.length && x - k >= two.length) return trace;
    }
  }
  return null;
}
