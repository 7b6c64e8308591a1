/** Which objects of two results are the same, as structures/matching.py has it: the server says which pairs may be. */

/** @typedef {[left: number, right: number, sameLabel: boolean]} Pair in the order in which pairs match */
/** @typedef {"left" | "right" | "other" | "same"} Kind of one result alone; of both, with other labels or the same */
/** @typedef {{kind: Kind, left: number | null, right: number | null}} Entry an object, by its number in each result */

/**
 * Match what is shown of two results; each object matches one at most.
 *
 * @param {Pair[]} pairs
 * @param {boolean[]} left which objects are shown
 * @param {boolean[]} right
 * @returns {Entry[]}
 */
export function match(pairs, left, right) {
  const free = [[...left], [...right]];
  /** @type {Entry[]} */
  const matched = [];
  for (const [i, j, sameLabel] of pairs) {
    if (free[0][i] && free[1][j]) {
      free[0][i] = free[1][j] = false;
      matched.push({ kind: sameLabel ? "same" : "other", left: i, right: j });
    }
  }
  matched.sort((a, b) => Number(a.left) - Number(b.left));
  const [onlyLeft, onlyRight] = free.map((all) => [...all.keys()].filter((i) => all[i]));
  return [
    ...onlyLeft.map((i) => /** @type {Entry} */ ({ kind: "left", left: i, right: null })),
    ...onlyRight.map((j) => /** @type {Entry} */ ({ kind: "right", left: null, right: j })),
    ...matched,
  ];
}
