// What the pages say, in the language of the person: look-up, plural forms, numbers, and the switch.
import { EN } from "./words-en.js";
import { ZH } from "./words-zh.js";

/**
 * @typedef {Record<string, string | number | (() => string)>} Params
 * @typedef {string | {one?: string, other: string}} Text one with plural forms goes by the parameter `n`
 */

const TABLES = { en: EN, "zh-Hans": ZH };
const PLACES = {
  "data-t": (node, text) => (node.textContent = text),
  "data-t-label": (node, text) => node.setAttribute("aria-label", text),
  "data-t-title": (node, text) => node.setAttribute("title", text),
  "data-t-hint": (node, text) => node.setAttribute("placeholder", text),
};
/** @type {WeakMap<Element, Record<string, Params | undefined>>} */
const given = new WeakMap();
/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {"en" | "zh-Hans"} the language in use; theme.js has chosen it before anything was drawn */
export function language() {
  return document.documentElement.lang === "zh-Hans" ? "zh-Hans" : "en";
}

/**
 * A number as the language writes it.
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function number(value, options = {}) {
  return new Intl.NumberFormat(language(), options).format(value);
}

/** A share between 0 and 1 as a percentage. @param {number} share */
export function percent(share) {
  return number(share, { style: "percent", maximumFractionDigits: 0 });
}

/**
 * The text of a key. `{name}` stands for a parameter; a text with plural forms goes by the parameter `n`.
 * @param {string} key
 * @param {Params} [params]
 * @returns {string}
 */
export function t(key, params = {}) {
  let text = TABLES[language()][key] ?? EN[key] ?? key;
  if (typeof text === "object") {
    const form = new Intl.PluralRules(language()).select(Number(params.n));
    text = text[form] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = params[name];
    if (value === undefined) return whole;
    if (typeof value === "function") return value();
    return typeof value === "number" ? number(value) : value;
  });
}

/**
 * Texts that a kind of question brings along; those that the pages have already stay as they are.
 * @param {Record<"en" | "zh", Record<string, Text>>} words
 */
export function addWords({ en, zh }) {
  Object.assign(EN, { ...en, ...EN });
  Object.assign(ZH, { ...zh, ...ZH });
}

/**
 * Write a text into a node, and again whenever the language changes.
 * @param {Element} node
 * @param {string} key
 * @param {Params} [params]
 * @param {string} [place] where: the text itself, or the attribute that screen readers, pointers or fields show
 */
export function say(node, key, params, place = "data-t") {
  if (node.getAttribute(place) !== key) node.setAttribute(place, key);
  given.set(node, { ...given.get(node), [place]: params });
  PLACES[place](node, t(key, params));
}

/** Write every text of the page anew. */
export function relabel() {
  for (const [place, write] of Object.entries(PLACES)) {
    for (const node of document.querySelectorAll(`[${place}]`)) {
      write(node, t(node.getAttribute(place) ?? "", given.get(node)?.[place]));
    }
  }
}

/** Call when the language has changed. @param {() => void} listener */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Switch between English and Chinese and remember it. */
export function switchLanguage() {
  const next = language() === "en" ? "zh-Hans" : "en";
  document.documentElement.lang = next;
  try {
    localStorage.setItem("plaudit-language", next);
  } catch {
    // a browser that keeps nothing: the switch lasts as long as the page
  }
  relabel();
  for (const listener of listeners) listener();
}
