// @ts-check
/** Buttons that copy text. */

import { announce } from "./announcement.js";
import * as words from "./words.js";

const SHOWN_MS = 2_000;

/**
 * A button that copies text.
 * @param {string} name for screen readers, such as "Copy the code"
 * @param {() => string} textOf returns the text at the time of the click
 */
export function copyButton(name, textOf) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.setAttribute("aria-label", name);
  button.textContent = words.COPY;
  copyOnClick(button, textOf);
  return button;
}

/**
 * Make a button copy text. Its label shows the result for two seconds, and screen readers announce it.
 * @param {HTMLElement} button
 * @param {() => string} textOf returns the text at the time of the click
 */
export function copyOnClick(button, textOf) {
  const label = button.textContent;
  let timer = 0;
  button.addEventListener("click", async () => {
    const isCopied = await copy(textOf());
    button.textContent = isCopied ? words.COPIED : words.NOT_COPIED;
    announce(isCopied ? words.COPIED_ANNOUNCEMENT : words.NOT_COPIED_ANNOUNCEMENT);
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.textContent = label;
    }, SHOWN_MS);
  });
}

/**
 * Copy text to the clipboard. The Clipboard API works only over HTTPS and on this machine, and the user may have denied
 * it; otherwise the text is copied from a selection.
 * @param {string} text
 * @returns {Promise<boolean>} whether it was copied
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/** @param {string} text */
function copySelection(text) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = document.createElement("textarea");
  field.className = "spoken";
  field.value = text;
  field.readOnly = true; // otherwise a phone shows its keyboard
  document.body.append(field);
  field.focus({ preventScroll: true });
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    focused?.focus({ preventScroll: true });
  }
}
