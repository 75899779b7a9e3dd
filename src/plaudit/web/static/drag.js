// Dragging an item of a ranking with the mouse, a pen or a finger.

const SLACK = 6; // px before a press becomes a drag

/**
 * @typedef {{place: "between" | "tied" | "pool", index: number}} Target
 */

/**
 * Let the items of a list be dragged onto tiers (a tie), between them, or back to the pool.
 * @param {HTMLElement} root holds `.tier` and `.pool` elements and `[data-item]` buttons
 * @param {(item: number, target: Target) => void} drop
 */
export function dragItems(root, drop) {
  root.addEventListener("pointerdown", (press) => {
    const chip = /** @type {HTMLElement | null} */ (/** @type {Element} */ (press.target).closest("[data-item]"));
    if (!chip || press.button !== 0) return;
    const stop = new AbortController();
    const options = { signal: stop.signal };
    let dragging = false;
    chip.setPointerCapture(press.pointerId); // a quick move would leave the item before it is noticed
    const finish = () => {
      stop.abort();
      unmark(root);
      chip.classList.remove("dragged");
      chip.style.transform = "";
    };
    chip.addEventListener("pointermove", (move) => {
      const [dx, dy] = [move.clientX - press.clientX, move.clientY - press.clientY];
      if (!dragging && Math.hypot(dx, dy) < SLACK) return;
      dragging = true;
      chip.classList.add("dragged");
      chip.style.transform = `translate(${dx}px, ${dy}px)`;
      mark(root, targetAt(root, move.clientY));
    }, options);
    chip.addEventListener("pointerup", (up) => {
      const target = targetAt(root, up.clientY);
      finish();
      if (!dragging) return;
      addEventListener("click", swallow, { capture: true, once: true }); // the end of a drag is no press
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
      if (target) drop(Number(chip.dataset.item), target);
    }, options);
    for (const name of ["pointercancel", "lostpointercapture"]) chip.addEventListener(name, finish, options);
  });
}

/** @param {Event} event */
function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}

/** What lies at a height: the middle half of a tier ties, its edges are the gaps. @returns {Target | null} */
function targetAt(root, y) {
  const pool = root.querySelector(".pool")?.getBoundingClientRect();
  if (pool && pool.height > 0 && pool.top <= y && y <= pool.bottom) return { place: "pool", index: 0 };
  const tiers = [...root.querySelectorAll(".tier")].map((tier) => tier.getBoundingClientRect());
  for (const [index, { top, bottom, height }] of tiers.entries()) {
    if (y < top + height / 4) return { place: "between", index };
    if (y <= bottom - height / 4) return { place: "tied", index };
  }
  return { place: "between", index: tiers.length };
}

function unmark(root) {
  for (const node of root.querySelectorAll(".target, .gap-above, .gap-below")) {
    node.classList.remove("target", "gap-above", "gap-below");
  }
}

function mark(root, target) {
  unmark(root);
  const tiers = root.querySelectorAll(".tier");
  if (target?.place === "pool") root.querySelector(".pool")?.classList.add("target");
  if (target?.place === "tied") tiers[target.index]?.classList.add("target");
  if (target?.place === "between") {
    if (target.index < tiers.length) tiers[target.index].classList.add("gap-above");
    else tiers[tiers.length - 1]?.classList.add("gap-below");
  }
}
