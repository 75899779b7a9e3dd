// The people page: invite, list, and let go.
import { Refusal, get, post } from "./api.js";
import { byId, el } from "./dom.js";
import { openSession, patient } from "./header.js";
import { announce, confirmed, notice } from "./notices.js";
import { language, number, onLanguage, say } from "./words.js";

/** Do something, and say why where it did not work. @template T @param {() => Promise<T>} work @returns {Promise<T | null>} */
async function attempt(work) {
  try {
    return await work();
  } catch (problem) {
    if (problem instanceof Refusal) notice("bad", "message", { message: problem.message });
    else notice("bad", "noServer");
    return null;
  }
}

async function refresh() {
  const { people, invitations } = await patient(() => get("/api/people"));
  byId("people").replaceChildren(table(["person", "role", "answers", ""], people.map(personRow)));
  byId("open").hidden = invitations.length === 0;
  byId("invitations").replaceChildren(table(["person", "role", "validUntil", ""], invitations.map(linkRow)));
}

function table(heads, rows) {
  const head = heads.map((key) => (key ? el("th", { t: key, class: key === "answers" ? "number" : null }) : el("th")));
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function personRow(person) {
  const { id, name, role, revoked, answered } = person;
  const actions = revoked
    ? [el("span", { class: "small", t: "revoked" })]
    : [
        button("newLink", ["newLinkFor", { name }], () => makeLink(`/api/people/${id}/link`, {})),
        button("revoke", ["revokeFor", { name }], () => revoke(`/api/people/${id}/revoke`, role === "admin" ? "revokeAdminSure" : "revokeSure", { name })),
      ];
  return el(
    "tr", { class: revoked ? "gone" : "" },
    el("td", { class: "name" }, name, id === me.id ? el("span", { class: "small you", t: "you" }) : null),
    el("td", { t: `role.${role}` }),
    el("td", { class: "number" }, number(answered)),
    el("td", { class: "acts" }, ...actions),
  );
}

function linkRow({ id, role, name, expires_at }) {
  const until = new Date(1000 * expires_at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
  const act = () => revoke(`/api/invitations/${id}/revoke`, "revokeLinkSure", {});
  return el(
    "tr", {},
    el("td", { class: "name" }, name ?? el("span", { class: "small", t: "anybody" })),
    el("td", { t: `role.${role}` }),
    el("td", {}, until),
    el("td", { class: "acts" }, button("withdraw", "withdraw", act)),
  );
}

function button(key, label, act) {
  return el("button", { type: "button", class: "small-button", t: key, label, click: act });
}

async function revoke(path, question, params) {
  if (!(await confirmed(question, "revoke", params))) return;
  if (await attempt(() => post(path, {}))) refresh();
}

async function makeLink(path, body) {
  const made = await attempt(() => post(path, body));
  if (!made) return;
  byId("link").hidden = false;
  say(byId("link-for"), made.name ? "linkFor" : "linkForAnybody", { name: made.name ?? "" });
  byId("link-text").value = made.link;
  byId("link-text").focus();
  byId("link-text").select();
  byId("link").scrollIntoView({ block: "nearest" });
  refresh();
}

async function copy() {
  const field = byId("link-text");
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    field.select(); // over plain http from another machine there is no clipboard for scripts
    if (!document.execCommand("copy")) return notice("good", "copyByHand");
  }
  announce("copied");
  say(byId("copy"), "copied");
  setTimeout(() => say(byId("copy"), "copy"), 2000);
}

const me = await openSession("peopleTitle");
byId("invite").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  makeLink("/api/invitations", { role: form.get("role"), name: String(form.get("name")).trim() || null });
});
byId("copy").addEventListener("click", copy);
byId("link-text").addEventListener("focus", () => byId("link-text").select());
onLanguage(refresh);
await refresh();
