// The sprite sheets of clips: fetched before they are needed, decoded once, let go when no question wants them.

export class Pictures {
  /** @type {Map<string, Promise<ImageBitmap>>} */
  #sheets = new Map();

  /** A decoded sheet. @param {string} sha256 @returns {Promise<ImageBitmap>} */
  sheet(sha256) {
    let promise = this.#sheets.get(sha256);
    if (!promise) {
      promise = load(sha256);
      promise.catch(() => this.#sheets.delete(sha256)); // the next look tries again
      this.#sheets.set(sha256, promise);
    }
    return promise;
  }

  /** Fetch what these questions show, and forget the rest. @param {import("./questions.js").Task[]} tasks */
  prepare(tasks) {
    const wanted = new Set(tasks.flatMap(sheetsOf));
    for (const sha256 of wanted) this.sheet(sha256).catch(() => {});
    for (const [sha256, promise] of this.#sheets) {
      if (wanted.has(sha256)) continue;
      this.#sheets.delete(sha256);
      promise.then((bitmap) => bitmap.close()).catch(() => {});
    }
  }
}

/** @param {import("./questions.js").Task} task */
function sheetsOf(task) {
  return task.options.flatMap(({ view }) => view.clip?.sheets.map((sheet) => sheet.sha256) ?? []);
}

/** @param {string} sha256 */
async function load(sha256) {
  const reply = await fetch(`/api/artifacts/${sha256}`, { redirect: "error" });
  if (!reply.ok) throw new Error(`${reply.status} for a picture`);
  return createImageBitmap(await reply.blob());
}
