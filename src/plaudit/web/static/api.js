// Requests to the server: JSON in and out, the CSRF token, and what went wrong in one of two classes.

/**
 * @typedef {{id: number, name: string, role: "admin" | "annotator", csrf: string, answered: number, title: string,
 *   store: string, state: State}} Me
 * @typedef {"label" | "learning" | "alone" | "paused" | "down" | "over"} State what the trainer does
 */

const PATIENCE = 15_000; // ms until a request counts as unanswered

/** The server said no. */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {number} retryAfter seconds */
  constructor(status, code, message, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later: what was to be stored must be kept. */
  get passing() {
    return [401, 408, 429].includes(this.status) || this.status >= 500;
  }
}

/** There was no answer that could be read: offline, a dead server, a stranger in between. */
export class Unreachable extends Error {}

/** @type {Me | null} */
let me = null;

/** Whose answers are whose in this browser: ports and numbers of persons return with other runs. @param {Me} person */
export function owner(person) {
  return `${person.store}/${person.id}`;
}

/** Who is signed in, with a fresh CSRF token. @returns {Promise<Me>} */
export async function who() {
  me = /** @type {Me} */ (await request("GET", "/api/me"));
  return me;
}

/** @param {string} path @returns {Promise<any>} */
export function get(path) {
  return request("GET", path);
}

/**
 * Change something. A token that no longer fits is renewed once.
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>}
 */
export async function post(path, body) {
  try {
    return await request("POST", path, body);
  } catch (problem) {
    if (!(problem instanceof Refusal) || problem.status !== 403 || me === null) throw problem;
    const before = me;
    const now = await who();
    if (owner(now) !== owner(before)) {
      location.reload(); // another tab signed somebody else in: nothing may be sent in their name
      await new Promise(() => {});
    }
    if (now.csrf === before.csrf) throw problem;
    return request("POST", path, body);
  }
}

/** @param {string} method @param {string} path @param {unknown} [body] */
async function request(method, path, body) {
  /** @type {RequestInit} */
  const options = { method, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json", ...(me ? { "X-Plaudit-CSRF": me.csrf } : {}) };
  }
  let reply, text;
  try {
    reply = await fetch(path, options);
    text = await reply.text();
  } catch (problem) {
    throw new Unreachable(String(problem));
  }
  return read(reply, text);
}

/** @param {Response} reply @param {string} text */
function read(reply, text) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    if (reply.ok) throw new Unreachable("not the labelling server");
  }
  if (reply.ok) return value;
  if (reply.status === 401) dispatchEvent(new Event("plaudit:signed-out"));
  const message = value?.message ?? `${reply.status} ${reply.statusText}`;
  throw new Refusal(reply.status, value?.error ?? "failed", message, Number(reply.headers.get("Retry-After")) || 0);
}
