// What all pages share: who is signed in, the language, the colours, the menu, and the end of a session.
import { Refusal, post, who } from "./api.js";
import { byId } from "./dom.js";
import { confirmed } from "./notices.js";
import { onLanguage, relabel, say, switchLanguage, t } from "./words.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Language and colours; pages without a session need no more. @param {string} title a key of the words */
export function openPage(title) {
  relabel();
  entitle(title);
  onLanguage(() => entitle(title));
  byId("language").addEventListener("click", switchLanguage);
  byId("theme").addEventListener("click", switchTheme);
}

/**
 * Sign-in, and the parts of the header that need it. Waits until the server answers.
 * @param {string} title
 * @param {{question: () => Promise<string>, before: () => Promise<void>}} [leaving] what to ask and do when they sign out
 */
export async function openSession(title, leaving) {
  openPage(title);
  addEventListener("plaudit:signed-out", showSignedOut);
  const me = await patient(who);
  byId("run-title").textContent = me.title;
  byId("person").textContent = me.name;
  byId("nav").hidden = me.role !== "admin";
  byId("leave").addEventListener("click", async () => {
    if (!(await confirmed((await leaving?.question()) ?? "leaveSure", "leave"))) return;
    await leaving?.before();
    await post("/api/leave", {});
    byId("signed-out-text").hidden = true;
    showSignedOut();
  });
  closeMenuOutside();
  return me;
}

/** Try again until there is an answer; a refusal is one. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
export async function patient(work) {
  for (let pause = 1000; ; pause = Math.min(15_000, pause * 1.6)) {
    try {
      return await work();
    } catch (problem) {
      if (problem instanceof Refusal && problem.status === 401) await new Promise(() => {}); // the page says so already
      if (problem instanceof Refusal && !problem.passing) throw problem;
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
    }
  }
}

function entitle(title) {
  document.title = `${t(title)} · plaudit`;
}

function showSignedOut() {
  const panel = byId("signed-out");
  if (!panel.hidden) return;
  panel.hidden = false;
  byId("main").hidden = true;
  panel.focus();
}

function switchTheme() {
  const page = document.documentElement;
  const dark = page.dataset.theme ? page.dataset.theme === "dark" : DARK.matches;
  page.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("plaudit-theme", page.dataset.theme);
  } catch {
    // a browser that keeps nothing: the switch lasts as long as the page
  }
}

function closeMenuOutside() {
  const menu = byId("menu");
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  });
}

/** A line about something that does not work, or nothing. @param {string | null} key @param {any} [params] */
export function showTrouble(key, params) {
  const line = byId("trouble");
  line.hidden = key === null;
  if (key !== null) say(line, key, params);
}
