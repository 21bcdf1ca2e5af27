// @ts-check
/** Loads the whole passage of a source, and shows it with the words of its excerpt marked. */

import { element } from "./elements.js";
import * as words from "./words.js";

const baseUrl = new URL(".", document.baseURI).href;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;
const BETWEEN_WORDS = "[^\\p{L}\\p{N}]+";
const LEAST_WORDS = 4;

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
 * The text of a passage as nodes, with the part that `excerpt` shows marked.
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
 * Find an excerpt in a text, which may have markup and line breaks between the words. If the text also has other words
 * in between, such as a heading, find the longest beginning of the excerpt.
 * @param {string} text
 * @param {string} excerpt
 * @returns {[start: number, end: number] | null}
 */
export function findExcerpt(text, excerpt) {
  const parts = excerpt.match(WORD) ?? [];
  for (let count = parts.length; count >= Math.min(parts.length, LEAST_WORDS) && count > 0; count -= 1) {
    const match = new RegExp(`(?<![\\p{L}\\p{N}])${parts.slice(0, count).join(BETWEEN_WORDS)}[.!?]?`, "u").exec(text);
    if (match) return [match.index, match.index + match[0].length];
  }
  return null;
}
