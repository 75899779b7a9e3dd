// The overlay that shows every key.
import { byId } from "./dom.js";

/** Whether it lies over the page. @returns {boolean} */
export function helpOpen() {
  return byId("help").open;
}

/** Show it or put it away. @returns {true} */
export function toggleHelp() {
  const dialog = byId("help");
  if (dialog.open) dialog.close();
  else dialog.showModal();
  return true;
}

byId("help").addEventListener("click", (event) => {
  if (event.target === byId("help") || event.target.closest("[data-close]")) byId("help").close();
});
