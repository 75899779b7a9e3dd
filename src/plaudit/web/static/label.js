// The label page: one question after the other, by key, mouse or touch.
import { owner, who } from "./api.js";
import { kindOf, kinds } from "./ask.js";
import { ActiveClock } from "./clock.js";
import { byId, uuid } from "./dom.js";
import { dropDraft, dropOldDrafts, readDraft, writeDraft } from "./drafts.js";
import { openSession } from "./header.js";
import { toggleHelp } from "./help.js";
import { History } from "./history.js";
import { openKeep } from "./keep.js";
import { onKey } from "./keys.js";
import { followTrainer, sayMeanwhile } from "./meanwhile.js";
import { announce, notice } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Pictures } from "./pictures.js";
import { Questions } from "./questions.js";
import { readAs, readingKey } from "./reading.js";
import { offerReceipts } from "./receipts.js";
import { clearStage, drawActions, drawQuestion, offered } from "./stage.js";
import { badge, empty } from "./supply.js";
import { say } from "./words.js";

const GUARD = 350; // ms after a question appears in which nothing counts: the second half of a double click
const SAVE = 2000; // ms between drafts

/**
 * @typedef {{task: import("./questions.js").Task, ask: import("./options.js").Ask, clock: ActiveClock, since: number,
 *   entry: import("./history.js").Entry | null}} Shown `entry`: the earlier answer that is being corrected
 */

const keep = await openKeep();
const me = await openSession("labelTitle", { question: leaveQuestion, before: () => questions.giveBack() });
const mine = owner(me);
const pictures = new Pictures();
const outbox = new Outbox(keep, mine, heard);
const unsent = async () => (await outbox.waiting()).map(({ body }) => body.query_id);
const history = new History(() => outbox.waiting());
const trainer = followTrainer(me, meanwhile);
const questions = new Questions(mine, unsent, supplied, trainer.heard);
let answered = 0;
let recount = false; // answers wait from before this page, or come from another: only the server can count them
/** @type {Shown | null} */
let shown = null;
let busy = false;

/** @param {number} all how many questions this person has answered */
function count(all) {
  answered = all;
  byId("answered").hidden = answered === 0;
  say(byId("answered"), "answeredCount", { n: answered });
}

function supplied() {
  pictures.prepare([...(shown ? [shown.task] : []), ...questions.held]);
  const stuck = shown !== null && !kinds.has(shown.task.kind) && nextTask() !== shown.task;
  if (shown === null || stuck) advance();
}

/** The question whose turn it is; one that cannot be asked here only where there is no other. */
function nextTask() {
  return questions.held.find((task) => kinds.has(task.kind)) ?? questions.held[0];
}

/** Show the next question, or why there is none. */
function advance() {
  const task = nextTask();
  if (task) return show(task, null);
  close();
  empty(questions.supply, trainer.state, answered);
}

/** The trainer does something else than before. */
function meanwhile() {
  sayMeanwhile(trainer.state);
  if (shown !== null) return;
  empty(questions.supply, trainer.state, answered);
  questions.soon();
}

/** @param {import("./questions.js").Task} task @param {import("./history.js").Entry | null} entry */
function show(task, entry) {
  close();
  const draft = readDraft(mine, name(task, entry));
  const scene = { task, pictures, before: entry?.feedback ?? null, work: draft?.work ?? null, send: answer, changed: touched };
  const ask = kindOf(task).ask(scene);
  shown = { task, ask, entry, clock: new ActiveClock(draft?.active_ms ?? 0), since: performance.now() };
  drawQuestion(task, ask, entry !== null);
  drawBar();
  remember(entry?.client_uuid ?? null);
  pictures.prepare([task, ...questions.held]);
}

function close() {
  if (shown === null) return;
  save();
  shown.ask.close();
  shown.clock.close();
  shown = null;
  clearStage();
}

function drawBar() {
  if (shown === null) return;
  drawActions(shown.task, offered(shown.task, shown.ask), {
    undo: { key: "u", t: "undo", tone: "quiet", off: history.entries.length === 0, run: undo },
    back: shown.entry ? { key: "Escape", t: "keepAnswer", tone: "quiet", run: leaveUndo } : null,
    help: { key: "?", t: "help", tone: "quiet", run: toggleHelp },
  });
}

function touched() {
  save();
  drawBar();
}

function name(task, entry) {
  return entry ? `fix-${entry.client_uuid}` : String(task.query_id);
}

function save() {
  if (shown && !busy) writeDraft(mine, name(shown.task, shown.entry), shown.clock.read(), shown.ask.work());
}

/** Keep an answer and go on. One decision has one UUID, however often a button is pressed. */
async function answer(feedback) {
  if (busy || shown === null || performance.now() - shown.since < GUARD) return;
  busy = true;
  const { task, entry, clock } = shown;
  const body = {
    client_uuid: uuid(), query_id: task.query_id, shown_order: task.shown_order, feedback,
    active_ms: clock.read(), supersedes: entry?.client_uuid ?? null,
  };
  try {
    await outbox.add(body, task);
  } catch {
    notice("bad", "notKept"); // the question stays on the screen
    return;
  } finally {
    busy = false;
  }
  dropDraft(mine, name(task, entry));
  history.add(body, task);
  if (!entry) count(answered + 1);
  announce(entry ? "corrected" : "kept");
  shown = finished(shown);
  if (!entry) questions.finish(task.query_id);
  advance();
}

function finished({ ask, clock }) {
  ask.close();
  clock.close();
  clearStage();
  return null;
}

/** One answer further back; the last ten can be corrected. */
async function undo() {
  if (busy) return;
  busy = true; // an answer that follows quickly is meant for what is about to be shown
  const from = shown?.entry?.client_uuid ?? null;
  if (from === null) await history.refresh().catch(() => {}); // offline: what this page knows
  busy = false;
  const entry = history.entries[from === null ? 0 : history.entries.findIndex((each) => each.client_uuid === from) + 1];
  if (!entry) return announce("noUndo");
  show(entry.task, entry);
  announce("undoing");
}

function leaveUndo() {
  if (!shown?.entry) return;
  dropDraft(mine, name(shown.task, shown.entry));
  shown = finished(shown);
  remember(null);
  advance();
}

/** Which answer was being corrected, for the case that the page is loaded again. @param {string | null} uuid */
function remember(uuid) {
  try {
    sessionStorage.setItem("plaudit-fix", uuid ?? "");
  } catch {
    // a browser that keeps nothing
  }
}

/** The page was loaded again while an earlier answer was being corrected. */
async function goOnFixing() {
  const fixing = remembered();
  if (!fixing) return;
  await history.refresh().catch(() => {});
  const entry = history.entries.find((each) => each.client_uuid === fixing);
  if (entry) show(entry.task, entry);
}

function remembered() {
  try {
    return sessionStorage.getItem("plaudit-fix");
  } catch {
    return null;
  }
}

/** @param {import("./outbox.js").News} news */
function heard(news) {
  if (news.kind === "count") return counted(news);
  if (news.kind === "elsewhere") {
    recount = true;
    return history.spoil();
  }
  if (news.kind !== "refused") return;
  history.remove(news.waiting.body.client_uuid);
  if (!news.waiting.body.supersedes) count(answered - 1);
  notice("bad", "refused", { message: news.problem.message });
  drawBar();
}

async function counted(news) {
  badge(news, () => outbox.sendNow());
  if (!recount || news.waiting > 0) return;
  recount = false;
  const found = await who().catch(() => null); // offline: the next time
  if (found === null) recount = true;
  else if (outbox.count === 0) count(found.answered);
}

async function leaveQuestion() {
  return (await outbox.waiting()).length > 0 ? "leaveUnsent" : "leaveSure";
}

/** While somebody is at a question it stays theirs. */
async function renew() {
  if (!shown || performance.now() - shown.clock.lastInput > 60_000) return;
  const current = shown;
  if (!(await questions.renew().catch(() => false)) || current !== shown || current.entry) return;
  if (!questions.held.some((task) => task.query_id === current.task.query_id)) {
    notice("good", "leaseGone");
    shown = finished(current);
    advance();
  }
}

/** @param {string} key @param {boolean} repeated */
function press(key, repeated) {
  if (key === "?") return toggleHelp();
  if (document.querySelector("dialog[open]") || byId("main").hidden) return false;
  const step = shown?.ask.keys[key];
  const reads = shown ? readingKey(key) : undefined;
  const bar = shown && offered(shown.task, shown.ask).find((action) => action.key === key && !action.off);
  const act = { u: undo, Escape: shown?.entry ? leaveUndo : null }[key] ?? bar?.run ?? step ?? reads;
  if (!act) return false;
  if (!repeated || act === step || key === "j" || key === "k" || key === "↑" || key === "↓") act();
  return true;
}

readAs(mine);
recount = (await outbox.waiting()).length > 0;
count(me.answered);
onKey(press);
offerReceipts(keep, mine);
dropOldDrafts();
setInterval(save, SAVE);
setInterval(renew, 20_000);
addEventListener("pagehide", save);
if (!keep.durable) say(byId("warning"), "nothingKept");
byId("warning").hidden = keep.durable;
outbox.sendNow();
sayMeanwhile(trainer.state);
await goOnFixing();
questions.fill();
await history.refresh().catch(() => {});
drawBar();
