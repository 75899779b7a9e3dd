// The server's receipts, as a file for `plaudit verify --receipts`.
import { byId, el } from "./dom.js";
import { notice } from "./notices.js";

/**
 * Make the menu's entry work.
 * @param {import("./keep.js").Keep} keep
 * @param {string} owner
 */
export function offerReceipts(keep, owner) {
  byId("receipts").addEventListener("click", async () => {
    const own = (await keep.all("receipts")).filter((record) => record.owner === owner);
    if (own.length === 0) return notice("good", "noReceipts");
    own.sort((one, other) => one.receipt.seq - other.receipt.seq);
    const lines = own.map(({ receipt }) => `${JSON.stringify(receipt)}\n`);
    const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    el("a", { href: url, download: "receipts.jsonl" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
}
