// An order with ties, as tiers from the best to the worst; every function gives a new order.

/** @typedef {number[][]} Tiers */

/** @param {Tiers} tiers @param {number} item the tier it stands in, -1 where it is not placed */
export function tierOf(tiers, item) {
  return tiers.findIndex((tier) => tier.includes(item));
}

/** Take an item out. @param {Tiers} tiers @param {number} item @returns {Tiers} */
export function without(tiers, item) {
  return tiers.map((tier) => tier.filter((other) => other !== item)).filter((tier) => tier.length > 0);
}

/** Give an item a tier of its own, before the tier at `index`. @param {Tiers} tiers @param {number} item @param {number} index */
export function between(tiers, item, index) {
  const left = tiers.map((tier) => tier.filter((other) => other !== item));
  return [...left.slice(0, index), [item], ...left.slice(index)].filter((tier) => tier.length > 0);
}

/** Tie an item with those at `index`. @param {Tiers} tiers @param {number} item @param {number} index @returns {Tiers} */
export function tied(tiers, item, index) {
  const left = tiers.map((tier) => tier.filter((other) => other !== item));
  return left.map((tier, place) => (place === index ? [...tier, item] : tier)).filter((tier) => tier.length > 0);
}

/**
 * Half a step towards the best (-1) or the worst (1): out of a tie, or into one with the neighbours.
 * @param {Tiers} tiers @param {number} item @param {-1 | 1} way @returns {Tiers}
 */
export function stepped(tiers, item, way) {
  const index = tierOf(tiers, item);
  if (index < 0) return tiers;
  if (tiers[index].length > 1) return between(tiers, item, way < 0 ? index : index + 1);
  const next = index + way;
  return next < 0 || next >= tiers.length ? tiers : tied(tiers, item, next);
}
