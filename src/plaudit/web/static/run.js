// The run page: numbers as they come, and start, pause and stop.
import { Refusal, post } from "./api.js";
import { lineChart } from "./charts.js";
import { byId, el } from "./dom.js";
import { openSession, showTrouble } from "./header.js";
import { confirmed, notice } from "./notices.js";
import { follow } from "./stream.js";
import { number, onLanguage, percent, say, t } from "./words.js";

const CHARTS = [
  { key: "return", colour: "green" },
  { key: "win_rate", colour: "green", share: true },
  { key: "accuracy", colour: "blue", share: true },
  { key: "kl", colour: "orange", zero: true },
  { key: "labels", colour: "blue", zero: true },
].map((shape) => ({ ...shape, chart: lineChart(shape) }));
const FEW = 10; // a share of fewer is written as a count: "0%" of one says more than is known
const ALWAYS = new Set(["accuracy", "labels"]);

/** @type {any} */
let latest = null;
let connected = true;

function show(progress) {
  latest = { ...progress, stopping: progress.wish === "stop" && progress.status === "running" };
  byId("title").textContent = progress.title;
  showState(latest);
  showControls(latest);
  byId("tiles").replaceChildren(...tiles(progress));
  showProgress(progress.progress);
  showTeam(progress.people ?? []);
  for (const { key, chart } of CHARTS) {
    const points = progress.series?.[key] ?? [];
    chart.node.hidden = points.length === 0 && (!ALWAYS.has(key) || progress.mode === "label");
    chart.show(points, progress.x);
  }
  age();
}

function showState({ status, wish, error, mode, stopping, state: trainer, patience }) {
  const state = mode === "label" ? "label" : wish === "pause" && status === "running" ? "paused" : status;
  byId("state").className = `pill ${state}`;
  say(byId("state"), `state.${state}`);
  byId("wish").hidden = !stopping;
  say(byId("wish"), "wish.stop");
  byId("alone").hidden = trainer !== "alone";
  if (trainer === "alone") say(byId("alone"), "runAlone", { n: patience });
  byId("error").hidden = !error;
  byId("error").textContent = error ?? "";
}

function showControls({ status, wish, mode, stopping }) {
  const running = status === "running";
  const paused = wish === "pause";
  const button = (key, kind, off, tone = "") =>
    el("button", { type: "button", class: tone, t: key, disabled: off || !connected, click: () => command(kind), "data-kind": kind });
  const state = [running, paused, stopping, connected].join();
  byId("controls").hidden = mode === "label";
  if (byId("controls").dataset.state === state) return; // a button must not be replaced under a finger
  byId("controls").dataset.state = state;
  const focused = document.activeElement?.getAttribute("data-kind");
  byId("controls").replaceChildren(
    running && !paused
      ? button("pause", "pause", stopping)
      : button(running ? "resume" : "start", "start", stopping, "primary"),
    button("stop", "stop", !running || stopping, "danger"),
  );
  if (focused) byId("controls").querySelector(`[data-kind="${focused}"]`)?.focus();
}

async function command(kind) {
  if (kind === "stop" && !(await confirmed("stopSure", "stop"))) return;
  try {
    await post("/api/commands", { kind });
    notice("good", `done.${kind}`);
  } catch (problem) {
    if (problem instanceof Refusal) notice("bad", "message", { message: problem.message });
    else notice("bad", "noServer");
  }
}

function tiles({ labels, skipped, asked, queue, leased, agreement, between, sides, series }) {
  const accuracy = series?.accuracy?.at(-1)?.[1];
  return [
    tile("tile.labels", number(labels), "tile.labels.note", { asked, skipped, n: skipped }),
    tile("tile.queue", number(queue), "tile.queue.note", { leased, n: leased }),
    share("tile.agreement", agreement, agreement?.agree, agreement?.repeats),
    share("tile.between", between, between?.agree, between?.pairs),
    share("tile.sides", sides, sides?.first_shown, sides?.decided),
    accuracy === undefined ? null : tile("tile.accuracy", percent(accuracy), "tile.accuracy.note"),
  ].filter((node) => node !== null);
}

/** A share with its interval, of few the plain count; nothing is said where nothing was counted. */
function share(key, found, hits, count) {
  if (!found || !count || found.rate === null) return null;
  const range = { low: percent(found.low), high: percent(found.high), n: count };
  const value = count < FEW ? t("someOf", { n: hits, of: count }) : percent(found.rate);
  return tile(key, value, `${key}.note`, range);
}

function tile(key, value, note, params) {
  return el("div", { class: "tile" }, el("b", {}, value), el("span", { t: key }), el("i", { t: [note, params] }));
}

function showProgress(progress) {
  const known = progress && progress.of > 0;
  byId("progress").hidden = !known;
  if (!known) return;
  const part = Math.min(1, progress.done / progress.of);
  byId("progress").querySelector("i").style.width = `${100 * part}%`;
  const params = { done: progress.done, of: progress.of, unit: () => unit(progress.in), percent: percent(part) };
  say(byId("progress").querySelector("p"), "progress", params);
}

function unit(name) {
  const node = el("span", { t: `unit.${name}` });
  return node.textContent === `unit.${name}` ? name : node.textContent;
}

function showTeam(people) {
  byId("team").hidden = people.length === 0;
  const rows = people.map(({ name, answered, last_at }) =>
    el("tr", {}, el("td", {}, name), el("td", { class: "number" }, number(answered)), el("td", {}, when(last_at))),
  );
  const head = ["person", "answers", "lastAnswer"].map((key) => el("th", { t: key, class: key === "answers" ? "number" : null }));
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
  byId("team").querySelector(".scroll").replaceChildren(table);
}

function when(seconds) {
  if (!seconds) return el("span", { t: "never" });
  const minutes = Math.floor((Date.now() / 1000 - seconds) / 60);
  if (minutes < 1) return el("span", { t: "justNow" });
  if (minutes < 60) return el("span", { t: ["minutesAgo", { n: minutes }] });
  return el("span", { t: ["hoursAgo", { n: Math.floor(minutes / 60) }] });
}

function age() {
  byId("updated").hidden = !latest?.updated_at;
  if (!latest?.updated_at) return;
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - latest.updated_at));
  if (seconds < 5) say(byId("updated"), "updatedNow");
  else if (seconds < 120) say(byId("updated"), "updated", { n: seconds });
  else if (seconds < 7200) say(byId("updated"), "updatedMinutes", { n: Math.floor(seconds / 60) });
  else say(byId("updated"), "updatedHours", { n: Math.floor(seconds / 3600) });
}

function told(isConnected) {
  if (connected === isConnected) return;
  connected = isConnected;
  const over = latest && !["running", "waiting"].includes(latest.status); // then its server may well go too
  showTrouble(connected ? null : over ? "serverEnded" : "connectionLost");
  if (latest) showControls(latest);
}

byId("charts").replaceChildren(...CHARTS.map(({ chart }) => chart.node));
await openSession("runTitle");
onLanguage(() => latest && show(latest));
setInterval(age, 5000);
follow("/api/progress/stream", "progress", show, told);
