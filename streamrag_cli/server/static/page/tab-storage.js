// @ts-check
/**
 * Saves this tab's conversation in the browser's session storage until the tab is closed.
 *
 * If the storage is unavailable or full, fewer turns are saved, or none, and the page still works.
 */

const PREFIX = "streamrag conversation 1 ";
const MAX_CHARS = 1_000_000;

/**
 * Save the collection and the newest turns.
 * @param {string} key
 * @param {{ collection: string, turns: readonly object[] }} conversation
 */
export function keep(key, { collection, turns }) {
  let newest = newestWithin(
    MAX_CHARS,
    turns.map((turn) => JSON.stringify(turn)),
  );
  while (newest.length && !write(key, `{"collection":${JSON.stringify(collection)},"turns":[${newest.join(",")}]}`)) {
    newest = newest.slice(Math.ceil(newest.length / 2));
  }
  if (newest.length === 0) remove(key);
}

/**
 * Load the saved conversation. It may have any shape, so the caller must check it.
 * @param {string} key
 * @returns {{ collection?: unknown, turns?: unknown }}
 */
export function kept(key) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + key) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

/**
 * @param {number} maxChars
 * @param {readonly string[]} texts
 */
function newestWithin(maxChars, texts) {
  let chars = 0;
  const tooOld = texts.findLastIndex((text) => (chars += text.length) > maxChars);
  return texts.slice(tooOld + 1);
}

/**
 * @param {string} key
 * @param {string} text
 */
function write(key, text) {
  try {
    sessionStorage.setItem(PREFIX + key, text);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} key */
function remove(key) {
  try {
    sessionStorage.removeItem(PREFIX + key);
  } catch {
    // Without access to the storage, nothing was saved either.
  }
}
