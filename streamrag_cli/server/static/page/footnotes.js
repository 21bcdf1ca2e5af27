// @ts-check
/** The cited sources below an answer, on the page and as Markdown. */

import { element } from "./elements.js";
import { placeOf } from "./words.js";

/** @typedef {import("../client.js").Source} Source */

/**
 * @param {HTMLElement} list
 * @param {readonly Source[]} sources cited by the answer
 * @param {string} prefix of the ids of the sources
 */
export function showFootnotes(list, sources, prefix) {
  list.replaceChildren(...sources.map((source) => footnote(source, prefix)));
  list.hidden = sources.length === 0;
}

/**
 * @param {Source} source
 * @param {string} prefix
 */
function footnote(source, prefix) {
  const item = element("li", "footnote");
  const link = /** @type {HTMLAnchorElement} */ (element("a", "reference"));
  link.href = `#${prefix}-source-${source.n}`;
  link.append(element("span", "number", `[${source.n}]`), " ", element("bdi", "document", source.source));
  const place = placeOf(source);
  item.append(link, place ? " " : "", element("span", "place", place));
  return item;
}

/**
 * An answer as Markdown, with the cited sources below it.
 * @param {string} answer
 * @param {readonly Source[]} sources cited by the answer
 */
export function withFootnotes(answer, sources) {
  const heading = sources.length > 0 ? "Sources:" : ""; // separates the sources from a list that ends the answer
  return [answer.trim(), heading, sources.map(asMarkdown).join("\n")].filter(Boolean).join("\n\n") + "\n";
}

/**
 * A source as an item of a Markdown list, in the format of `streamrag ask --footnotes`.
 * @param {Source} source
 */
export function asMarkdown(source) {
  const place = locationOf(source);
  const longest = Math.max(0, ...(place.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = "`".repeat(longest + 1);
  const padding = place.startsWith("`") || place.endsWith("`") ? " " : "";
  const title = source.title.replace(/[\\`*_[\]<>#|~&]/g, "\\$&");
  return `- [${source.n}] ${fence}${padding}${place}${padding}${fence} ${title}`.trimEnd();
}

/** @param {Source} source */
function locationOf({ source, page, line_start }) {
  if (line_start !== null) return `${source}:${line_start}`;
  return page === null ? source : `${source} p. ${page}`;
}
