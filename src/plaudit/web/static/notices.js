// Short messages: spoken for screen readers, shown for a while, or shown until they are put away.
import { byId, el } from "./dom.js";
import { say } from "./words.js";

const SHOWN = 6000;

/** Tell a screen reader, politely. @param {string} key @param {import("./words.js").Params} [params] */
export function announce(key, params) {
  say(byId("status"), key, params);
}

/**
 * Show a message.
 * @param {"good" | "bad"} tone bad ones stay until they are put away
 * @param {string} key
 * @param {import("./words.js").Params} [params]
 */
export function notice(tone, key, params) {
  const close = () => node.remove();
  const node = el(
    "div", { class: `toast ${tone}`, role: tone === "bad" ? "alert" : "status" },
    el("p", { t: [key, params] }),
    el("button", { type: "button", class: "quiet small", label: "close", click: close }, "×"),
  );
  const list = byId("notices");
  for (const old of list.querySelectorAll("p")) {
    if (old.textContent === node.querySelector("p").textContent) old.parentElement?.remove(); // say it once
  }
  list.append(node);
  if (tone === "good") setTimeout(close, SHOWN);
}

/**
 * Ask before something that cannot be taken back.
 * @param {string} key @param {string} yes what the button says @param {import("./words.js").Params} [params]
 * @returns {Promise<boolean>}
 */
export function confirmed(key, yes, params) {
  return new Promise((resolve) => {
    const end = (answer) => () => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const dialog = el(
      "dialog", { class: "ask", label: [key, params], cancel: end(false) },
      el("p", { t: [key, params] }),
      el(
        "div", { class: "row" },
        el("button", { type: "button", t: "cancel", click: end(false) }),
        el("button", { type: "button", class: "danger", t: yes, click: end(true) }),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
