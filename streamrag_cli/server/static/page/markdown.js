// @ts-check
/**
 * Converts Markdown to HTML for the page. It handles only strings, so it can be tested without a browser.
 *
 * As in the terminal: HTML is shown as text (except `<br>`), an image becomes its description and address, link
 * definitions are text, `[n]` is a citation, and the address of a link is always shown. Every list item contains
 * paragraphs, so it looks the same regardless of what follows, and a finished item is rendered only once.
 */

import MarkdownIt from "../vendor/markdown-it-15.0.3.min.js";
import { plainText } from "./plain-text.js";

const SAFE_ADDRESS = /^(?:https?:\/\/|mailto:)/i;
const CITATION = /\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\](?![(:])/y;
const UNBREAKABLE_SPACE = "\u00a0";
const LINE_BREAK = /<br\s*\/?>/iy;

/** @param {string} address */
export function isSafeAddress(address) {
  return SAFE_ADDRESS.test(address.trim());
}

const markdown = makeParser();
const blocks = makeParser();
blocks.core.ruler.enableOnly(["normalize", "block"]);

function makeParser() {
  /** @type {any} the vendored file has no types */
  const parser = MarkdownIt({ html: false, linkify: false, typographer: false });
  parser.disable("reference");
  parser.validateLink = isSafeAddress;
  parser.inline.ruler.before("link", "citation", citation);
  parser.inline.ruler.before("html_inline", "line_break", lineBreak);
  parser.core.ruler.push("for_the_page", prepare);
  parser.renderer.rules.image = (/** @type {any[]} */ tokens, /** @type {number} */ at) => image(tokens[at]);
  parser.renderer.rules.citation = (/** @type {any[]} */ tokens, /** @type {number} */ at) =>
    `<span class="citation">${tokens[at].content}</span>`;
  parser.renderer.rules.table_open = () => '<div class="table"><table>\n';
  parser.renderer.rules.table_close = () => "</table></div>\n";
  return parser;
}

/**
 * Splits `text` into the part that later text can no longer change, and the rest.
 *
 * Only complete lines are considered, because `---` may continue as a word. The last block, or the last item of a
 * list, is still open. `continuesList`: the rest begins with another item of the list at the end of `finished`.
 * @param {string} text
 * @returns {{ finished: string, rest: string, continuesList: boolean }}
 */
export function splitFinished(text) {
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  let blockLine = 0;
  let openLine = 0;
  let inList = false;
  for (const { type, level, map } of blocks.parse(complete, {})) {
    if (!map) continue;
    if (level === 0) {
      blockLine = map[0];
      inList = type === "bullet_list_open" || type === "ordered_list_open";
    }
    if (level === 0 || (level === 1 && inList && type === "list_item_open")) openLine = map[0];
  }
  const end = indexOfLine(complete, openLine);
  return { finished: text.slice(0, end), rest: text.slice(end), continuesList: openLine > blockLine };
}

/** @param {string} text */
export function toHtml(text) {
  return markdown.render(text);
}

/**
 * @param {string} text
 * @param {number} line
 */
function indexOfLine(text, line) {
  let index = 0;
  for (let n = 0; n < line; n += 1) index = text.indexOf("\n", index) + 1;
  return index;
}

/**
 * Parses `[2]` or `[1, 3]`, by the same rule as `streamrag_cli/answer/citations.py`.
 * @param {any} state
 * @param {boolean} silent
 */
function citation(state, silent) {
  CITATION.lastIndex = state.pos;
  const match = CITATION.exec(state.src);
  if (!match || !mayCiteAfter(state.src.slice(0, state.pos), match[1])) return false;
  if (!silent) {
    const token = state.push("citation", "", 0);
    token.content = match[1].split(/[,;]/).map(Number).join(",");
  }
  state.pos += match[0].length;
  return true;
}

/**
 * Whether `[numbers]` after `before` is a citation: not an index after a word or a link label after a bracket, but
 * `[2][1]` are two citations.
 * @param {string} before
 * @param {string} numbers
 */
function mayCiteAfter(before, numbers) {
  return before.endsWith("]") ? /^\d+$/.test(numbers) : !/[\p{L}\p{N}_\\]$/u.test(before);
}

/**
 * @param {any} state
 * @param {boolean} silent
 */
function lineBreak(state, silent) {
  LINE_BREAK.lastIndex = state.pos;
  const match = LINE_BREAK.exec(state.src);
  if (!match) return false;
  if (!silent) state.push("hardbreak", "br", 0);
  state.pos += match[0].length;
  return true;
}

/**
 * The last core rule: adjusts tokens before they are rendered as HTML.
 * @param {any} state
 */
function prepare(state) {
  for (const token of state.tokens) {
    if (/^(?:paragraph|heading)_/.test(token.type)) token.hidden = false;
    if (/^heading_/.test(token.type)) token.tag = `h${Math.min(6, Number(token.tag[1]) + 2)}`; // below the page's
    if (token.type === "fence" || token.type === "code_block") token.content = plainText(token.content);
    if (/^t[hd]_open$/.test(token.type)) alignByClass(token);
    for (const child of token.children ?? []) prepareInline(child);
    keepCitationsWithWords(token.children ?? []);
  }
}

/**
 * Makes the space between a word and its first citation unbreakable, so that no line begins with that citation.
 * @param {any[]} tokens of one block
 */
function keepCitationsWithWords(tokens) {
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1];
    const followsCitation = !before?.content.trim() && tokens[at - 2]?.type === "citation";
    if (token.type !== "citation" || !before || followsCitation) continue;
    if (before.type === "softbreak") Object.assign(before, { type: "text", content: UNBREAKABLE_SPACE });
    else if (before.type === "text") before.content = before.content.replace(/ $/, UNBREAKABLE_SPACE);
  }
}

/** @param {any} token */
function prepareInline(token) {
  if (token.type === "text" || token.type === "code_inline") token.content = plainText(token.content);
  if (token.type === "link_open") token.attrs = [["href", token.attrGet("href")]];
}

/**
 * Aligns cells by class: the page's Content-Security-Policy forbids style attributes.
 * @param {any} token
 */
function alignByClass(token) {
  const side = /text-align:(left|right|center)/.exec(token.attrGet("style") ?? "");
  token.attrs = side ? [["class", `align-${side[1]}`]] : null;
}

/** @param {any} token */
function image(token) {
  const escape = markdown.utils.escapeHtml;
  const description = plainText(markdown.renderer.renderInlineAsText(token.children ?? [], {}, {}));
  return `<span class="image">${escape(description)} (${escape(token.attrGet("src") ?? "")})</span>`;
}
