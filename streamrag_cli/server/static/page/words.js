// @ts-check
/** The texts that the page shows. */

/** @type {Record<string, string>} */
export const STATUS = {
  connecting: "Asking…",
  retrieving: "Searching the documents…",
  generating: "Writing the answer…",
  stalled: "Still writing, but the model has sent nothing for a while…",
  retrying: "The model did not answer. Trying again…",
  done: "Answered.",
  error: "No answer.",
  cutOff: "The answer was cut off.",
  stopped: "Stopped.",
  cleared: "New conversation.",
};

export const FOLLOW_UP = "Ask a follow-up question";
export const THINKING = "The model’s thinking, which is not part of the answer";
export const BACK = "Back to the answer";
export const COPY = "Copy";
export const COPY_CODE = "Copy the code";
export const COPIED = "Copied";
export const NOT_COPIED = "Not copied";
export const COPIED_ANNOUNCEMENT = "Copied.";
export const NOT_COPIED_ANNOUNCEMENT = "The browser does not allow copying. Select the text and copy it with the keyboard.";
export const UNKNOWN = "No source has this number";
export const UNSUPPORTED = "the passage may not support the sentence";
export const WHOLE_PASSAGE = "Whole passage";
export const LOADING = "Loading…";
export const PASSAGE_GONE = "The document has changed, and this passage no longer exists. Ask again to get the current passage.";
export const NO_PASSAGE = "The server did not send the passage.";

/** Codes of client errors that a missing network connection may cause. */
const NO_CONNECTION = ["unreachable", "connection_lost"];

/** @param {number} count */
export function sourcesFound(count) {
  return count === 1 ? "1 source found." : `${count} sources found.`;
}

/**
 * A line with the queries that were searched, or "" if only the question itself was searched.
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

/**
 * A line with the documents that a question is restricted to, or "" if it is not restricted.
 * @param {import("../client.js").Filter} filter
 */
export function onlyIn(filter) {
  const { in: names = [], format = [], tag = [], since } = filter;
  const parts = [...names, ...format.map((each) => `format ${each}`), ...tag.map((each) => `tag ${each}`)];
  if (since) parts.push(`changed since ${since}`);
  return parts.length ? `Restricted to: ${parts.join(", ")}` : "";
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
  return `The answer cites ${markers}, but there is no such source. Do not rely on sentences with such citations.`;
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

/** @param {readonly number[]} numbers */
export function unsupportedCitations(numbers) {
  const markers = numbers.map((n) => `[${n}]`).join(", ");
  if (numbers.length === 1) return `Source ${markers} may not support a sentence that cites it. Check it.`;
  return `Sources ${markers} may not support sentences that cite them. Check them.`;
}

/** @param {number} n */
export function passageOf(n) {
  return `Passage from source ${n}`;
}

/**
 * The place of a source in its document: a page, lines, or "".
 * @param {import("../client.js").Source} source
 */
export function placeOf({ page, line_start, line_end }) {
  if (page !== null) return `page ${page}`;
  if (line_start === null) return "";
  return line_end === null || line_end === line_start ? `line ${line_start}` : `lines ${line_start}–${line_end}`;
}

/**
 * The status during a long wait for the server's first reply.
 * @param {number} others streams in other tabs
 * @param {number} mostConnections that a browser opens to a server
 */
export function waiting(others, mostConnections) {
  if (others < mostConnections) return "The server has not replied yet…";
  return `Waiting for one of the ${others} answers in other tabs: a browser opens at most ${mostConnections} connections to a server.`;
}

/**
 * @param {string} name
 * @param {string} asked
 */
export function noSuchCollection(name, asked) {
  return `This server has no collection “${name}”. Questions are answered from “${asked}”.`;
}

/** @param {boolean} isOnline whether this device has a network connection */
export function unreachable(isOnline) {
  return isOnline ? "The server cannot be reached." : "This device is offline.";
}

/**
 * @param {import("../client.js").ErrorEvent} event
 * @param {boolean} isOnline whether this device has a network connection
 */
export function advice({ code, hint, http_status, retry_after_s: wait_s }, isOnline) {
  if (wait_s !== undefined) return `try again in ${wait_s} s`;
  if (http_status === 401 && code !== "other_user") return "reload the page, and enter the server’s key as the password";
  if (code === "no_document_matches") return "change or clear the filter, and ask again";
  if (NO_CONNECTION.includes(code) && !isOnline) return "this device is offline; ask again when it is connected";
  return hint;
}
