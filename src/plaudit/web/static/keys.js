// The keyboard: which key was meant, and when a press is none of the page's business.

const NAMES = { ArrowUp: "↑", ArrowDown: "↓", Backspace: "⌫", Delete: "⌫", "。": ".", Esc: "Escape" };

/**
 * Call with each key that is meant for the page; true says that it was used.
 * @param {(key: string, repeated: boolean) => boolean} use
 */
export function onKey(use) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = plain(event.key);
    if (event.target instanceof Element && belongsTo(event.target, key)) return;
    if (use(key, event.repeat)) event.preventDefault();
  });
}

/** One name per key, also for full-width signs of Chinese keyboards and for capitals. @param {string} key */
export function plain(key) {
  if (key in NAMES) return NAMES[key];
  return key.length === 1 ? key.normalize("NFKC").toLowerCase() : key;
}

/** Whether the focused element wants the key for itself. @param {Element} target @param {string} key */
function belongsTo(target, key) {
  if (target.closest("dialog")) return key !== "?";
  if (target.matches("textarea, select, input:not([type=range])")) return true;
  if (target.matches("button, a, summary")) return key === " " || key === "Enter";
  return target.matches("input[type=range]") && (key === "↑" || key === "↓");
}

/** A button for an action, with its key on it. @param {import("./options.js").Action} action @returns {Node[]} */
export function keyed({ key }) {
  const cap = document.createElement("kbd");
  cap.textContent = { Enter: "↵", Escape: "Esc" }[key] ?? key;
  cap.setAttribute("aria-hidden", "true");
  return [cap];
}
