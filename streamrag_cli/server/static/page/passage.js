// @ts-check
/** Loads the whole passage of a source, and shows it with the words of its excerpt marked. */

import { element } from "./elements.js";
import * as words from "./words.js";

const baseUrl = new URL(".", document.baseURI).href;
const LETTERS = /[\p{L}\p{M}\p{N}]+/gu;
const NO_LETTERS = "[^\\p{L}\\p{N}]+";
/** An excerpt may end in the middle of a passage's markup: then a shorter beginning of it is marked. */
const LENGTHS = [Infinity, 16, 8, 4];

/**
 * Load a passage. Rejects with an `Error` whose message is for the user.
 * @param {string} chunkId
 * @param {string} collection "" for the server's default
 * @returns {Promise<string>}
 */
export async function loadPassage(chunkId, collection) {
  const query = new URLSearchParams({ chunk_id: chunkId, ...(collection && { collection }) });
  const response = await fetch(`${baseUrl}passage?${query}`, { headers: { Accept: "application/json" } }).catch(() => {
    throw new Error(words.unreachable(navigator.onLine));
  });
  const body = await response.json().catch(() => null);
  if (response.ok && typeof body?.text === "string") return body.text;
  if (body?.code === "no_such_passage") throw new Error(words.PASSAGE_GONE);
  throw new Error(typeof body?.error === "string" ? body.error : words.NO_PASSAGE);
}

/**
 * The nodes of a passage's text, with the part that `excerpt` shows marked.
 * @param {string} text
 * @param {string} excerpt
 * @returns {(Text | HTMLElement)[]}
 */
export function markedPassage(text, excerpt) {
  const span = findExcerpt(text, excerpt);
  if (!span) return [new Text(text)];
  const [start, end] = span;
  return [new Text(text.slice(0, start)), element("mark", "", text.slice(start, end)), new Text(text.slice(end))];
}

/**
 * Where the words of an excerpt are in a text, which may have markup and line breaks between them.
 * @param {string} text
 * @param {string} excerpt
 * @returns {[start: number, end: number] | null}
 */
export function findExcerpt(text, excerpt) {
  const parts = excerpt.match(LETTERS) ?? [];
  for (const length of LENGTHS.filter((each) => each === Infinity || each < parts.length)) {
    if (parts.length === 0) break;
    const match = new RegExp(`(?<![\\p{L}\\p{N}])${parts.slice(0, length).join(NO_LETTERS)}`, "u").exec(text);
    if (match) return [match.index, match.index + match[0].length + endOfSentence(text, match)];
  }
  return null;
}

/**
 * @param {string} text
 * @param {RegExpExecArray} match
 */
function endOfSentence(text, match) {
  return /^[.!?…]?/.exec(text.slice(match.index + match[0].length))?.[0].length ?? 0;
}
