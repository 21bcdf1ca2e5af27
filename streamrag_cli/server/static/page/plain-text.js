// @ts-check
/**
 * Removes control and invisible characters, by the same rule that the server applies to every text
 * (`streamrag_cli/text.py`). It is repeated here because a Markdown entity such as `&#x202e;` becomes a control
 * character only when it is parsed.
 */

const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const INVISIBLE =
  /[\r\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\u{e0100}-\u{e01ef}]/gu;

/** @param {string} text */
export function plainText(text) {
  return text
    .replace(INVISIBLE, "")
    .replace(/[\u2028\u2029]/g, "\n")
    .replace(CONTROL, "\ufffd");
}
