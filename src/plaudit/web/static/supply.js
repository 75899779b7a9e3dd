// What the page says when there is no question, and about answers that wait to be sent.
import { Refusal } from "./api.js";
import { byId } from "./dom.js";
import { showTrouble } from "./header.js";
import { announce } from "./notices.js";
import { say } from "./words.js";

/**
 * No question: why, and what happens next.
 * @param {import("./questions.js").Supply} supply
 * @param {import("./api.js").State} state
 * @param {number} answered
 */
export function empty(supply, state, answered) {
  const panel = byId("empty");
  const again = panel.hidden || panel.dataset.supply !== supply;
  panel.hidden = false;
  panel.dataset.supply = supply;
  say(byId("empty-title"), `${supply}.title`);
  say(byId("empty-text"), supply === "none" ? `none.${state}` : `${supply}.text`);
  say(byId("empty-count"), "answeredSoFar", { n: answered });
  byId("empty-count").hidden = answered === 0;
  byId("waiting").hidden = supply === "finished";
  if (again && supply !== "asking") announce(`${supply}.title`);
}

const BRIEF = 900; // ms: an answer that is sent sooner needs no word
let timer = 0;

/**
 * How many answers wait, and why.
 * @param {{waiting: number, trouble: any}} news
 * @param {() => void} sendNow
 */
export function badge({ waiting, trouble }, sendNow) {
  const node = byId("badge");
  clearTimeout(timer);
  if (waiting === 0 || trouble !== null) node.hidden = waiting === 0;
  else timer = setTimeout(() => (node.hidden = false), BRIEF);
  node.classList.toggle("bad", trouble !== null);
  node.onclick = sendNow;
  node.dataset.waiting = String(waiting);
  say(node, "waiting", { n: waiting });
  if (waiting === 0 || trouble === null) showTrouble(null);
  else showTrouble(why(trouble), { n: waiting, message: trouble.message });
}

function why(trouble) {
  if (!(trouble instanceof Refusal)) return "trouble.network";
  if (trouble.status === 507) return "trouble.disk";
  return trouble.status === 401 ? "trouble.signedOut" : "trouble.server";
}
