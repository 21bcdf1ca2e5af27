// @ts-check
/** Texts of the page. */

/** @type {Record<string, string>} */
export const STATUS = {
  connecting: "Asking…",
  retrieving: "Searching the documents…",
  generating: "Writing the answer…",
  retrying: "The model did not answer. Trying again…",
  done: "Answered.",
  error: "No answer.",
  cutOff: "The answer was cut off.",
  stopped: "Stopped.",
  cleared: "New conversation.",
};

export const FOLLOW_UP = "Ask a follow-up question";

/** @param {number} count */
export function sourcesFound(count) {
  return count === 1 ? "1 source found." : `${count} sources found.`;
}

/**
 * The queries that were searched; "" if only the question itself was.
 * @param {string} question
 * @param {readonly string[]} queries
 */
export function searchedFor(question, queries) {
  const typed = oneLine(question);
  const searched = [...new Set(queries.map(oneLine))];
  const others = searched.filter((query) => query !== typed).map((query) => `“${query}”`);
  if (others.length === 0) return "";
  return `${searched.length > others.length ? "Also searched for" : "Searched for"}: ${others.join(", ")}`;
}

/** @param {string} text */
function oneLine(text) {
  return text.trim().replace(/\s+/g, " ");
}

/** @param {boolean} hasPart */
export function stopped(hasPart) {
  return hasPart ? "Stopped. The answer is incomplete. " : "Stopped before the answer began. ";
}

/** @param {readonly number[]} numbers */
export function unknownCitations(numbers) {
  const markers = numbers.map((n) => `[${n}]`).join(", ");
  return `The answer cites ${markers}, but there is no such source. Do not rely on those parts.`;
}

/** @param {readonly number[]} numbers */
export function unsupportedCitations(numbers) {
  const markers = numbers.map((n) => `[${n}]`).join(", ");
  return `${markers} may not support what the answer cites ${numbers.length === 1 ? "it" : "them"} for. Check it.`;
}

/**
 * @param {number | null} firstTokenMs
 * @param {number | null} totalMs
 * @param {string} model
 */
export function timings(firstTokenMs, totalMs, model) {
  const parts = [];
  if (firstTokenMs !== null) parts.push(`first words after ${seconds(firstTokenMs)}`);
  if (totalMs !== null) parts.push(`${seconds(totalMs)} in total`);
  if (model) parts.push(model);
  const line = parts.join(" · ");
  return line.charAt(0).toUpperCase() + line.slice(1);
}

/** @param {number} ms */
function seconds(ms) {
  return ms < 9_950 ? `${(ms / 1000).toFixed(ms < 995 ? 2 : 1)} s` : `${Math.round(ms / 1000)} s`;
}

/** @param {import("../client.js").ErrorEvent} event */
export function advice({ hint, retry_after_s: wait_s }) {
  return wait_s === undefined ? hint : `try again in ${wait_s} s`;
}
