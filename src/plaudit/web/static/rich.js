// Formatted texts. The server made trees of Markdown (`web/rendered.py`); here they become nodes, each by its name, and
// only if it stands on these lists. There is no HTML on the way, so there is nothing to be smuggled into it.

/** @typedef {string | [string, Record<string, string>, ...any[]]} RichNode text, or [tag, attributes, ...nodes] */

const MATH = "http://www.w3.org/1998/Math/MathML";
const words = (list) => new Set(list.split(" "));

const BLOCKS = words("p li h3 h4 h5 h6 td th blockquote");
const HTML = words("p li h3 h4 h5 h6 td th blockquote br em strong s code pre ul ol hr table thead tbody tr a span bdi div");
const MATHML = words(
  "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mover munder munderover msub msup msubsup " +
    "mmultiscripts mprescripts none mtable mtr mtd",
);
const TRUTH = words("displaystyle stretchy fence separator symmetric largeop movablelimits accent accentunder");
const LENGTHS = words("linethickness width height depth lspace rspace minsize maxsize voffset");
const VALUES = {
  class: /^(hl-(comment|keyword|string|number|name)|info|task|image|address|control|wide|boxed|left|right|center)$/,
  start: /^\d{1,9}$/,
  display: /^(block|inline)$/,
  mathvariant: /^[a-z-]+$/,
  form: /^(prefix|infix|postfix)$/,
  scriptlevel: /^[+-]?[0-3]$/,
  columnalign: /^(left|right|center)$/,
};

/** @param {RichNode[]} nodes @returns {Node[]} */
export function richNodes(nodes) {
  return nodes.map(made);
}

/** @param {RichNode} node @returns {Node} */
function made(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, ...inside] = node;
  const element = MATHML.has(tag) ? document.createElementNS(MATH, tag) : document.createElement(HTML.has(tag) ? tag : "span");
  for (const [name, value] of Object.entries(attributes)) if (allowed(name, value)) element.setAttribute(name, value);
  if (tag === "a") lead(element, attributes.href);
  if (BLOCKS.has(tag)) element.setAttribute("dir", "auto"); // each in its own direction
  element.append(...inside.map(made));
  return element;
}

/** @param {string} name @param {string} value */
function allowed(name, value) {
  if (TRUTH.has(name)) return value === "true" || value === "false";
  if (LENGTHS.has(name)) return /^[+-]?\d?(\.\d{1,4})?(em|ex|mu|px|pt)?$/.test(value);
  return Object.hasOwn(VALUES, name) && VALUES[name].test(value);
}

/** Where a link leads: elsewhere, in a tab that knows nothing of this one. @param {Element} link @param {string} address */
function lead(link, address) {
  if (!/^https?:[/][/]/i.test(address)) return;
  link.setAttribute("href", address);
  link.setAttribute("rel", "noopener noreferrer");
  link.setAttribute("target", "_blank");
}
