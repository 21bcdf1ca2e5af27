// @ts-check
/** The fields that restrict a question to some documents. */

/** @typedef {import("../client.js").Filter} Filter */

const LISTS = /** @type {const} */ (["in", "format", "tag"]);

/**
 * Read the filter from the fields, in which the values of a list are separated by commas.
 * @param {HTMLElement} root contains the fields
 * @returns {Filter}
 */
export function readFilter(root) {
  /** @type {Filter} */
  const filter = {};
  for (const name of LISTS) {
    const values = field(root, name)
      .value.split(",")
      .map((value) => value.trim())
      .filter(Boolean);
    if (values.length) filter[name] = values;
  }
  const since = field(root, "since").value.trim();
  if (since) filter.since = since;
  return filter;
}

/**
 * Fill the fields with a saved filter, which may have any shape.
 * @param {HTMLElement} root
 * @param {object} kept
 */
export function fillFilter(root, kept) {
  const filter = /** @type {Record<string, unknown>} */ (kept);
  for (const name of LISTS) {
    const values = filter[name];
    field(root, name).value = Array.isArray(values) ? values.join(", ") : "";
  }
  field(root, "since").value = typeof filter.since === "string" ? filter.since : "";
}

/**
 * @param {HTMLElement} root
 * @param {string} name
 */
function field(root, name) {
  return /** @type {HTMLInputElement} */ (root.querySelector(`input[name="${name}"]`));
}
