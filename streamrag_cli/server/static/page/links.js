// @ts-check
/** Links of an answer: shows the host of each link, and turns citations into links to their source. */

/**
 * Prepare a fragment of an answer for the page.
 * @param {DocumentFragment} fragment
 * @param {ReadonlyMap<number, string>} sources names of the sources by number
 * @param {string} prefix of the ids of the sources
 */
export function decorate(fragment, sources, prefix) {
  for (const link of fragment.querySelectorAll("a[href]")) showAddress(/** @type {HTMLAnchorElement} */ (link));
  for (const marker of fragment.querySelectorAll("span.citation")) resolveCitation(marker, sources, prefix);
  for (const scroller of fragment.querySelectorAll("pre, div.table")) makeScrollable(scroller);
  for (const block of fragment.querySelectorAll("p, h3, h4, h5, h6, li, td, th")) block.setAttribute("dir", "auto");
}

/** @param {HTMLAnchorElement} link */
function showAddress(link) {
  const address = link.getAttribute("href") ?? "";
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = address;
  const target = link.protocol === "mailto:" ? decodeLoosely(link.pathname) : link.host;
  const text = (link.textContent ?? "").trim();
  if (text === address || text === target) return;
  const suffix = document.createElement("span");
  suffix.className = "address";
  suffix.textContent = ` (${target})`;
  link.after(suffix);
}

/** @param {string} text */
function decodeLoosely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * @param {Element} marker contains the comma-separated numbers of one `[...]`
 * @param {ReadonlyMap<number, string>} sources
 * @param {string} prefix
 */
function resolveCitation(marker, sources, prefix) {
  const numbers = (marker.textContent ?? "").split(",").map(Number);
  if (marker.closest("a"))
    marker.replaceWith(`[${numbers.join(", ")}]`); // links cannot be nested
  else marker.replaceWith(...numbers.map((n) => citationOf(n, sources.get(n), prefix)));
}

/**
 * @param {number} n
 * @param {string | undefined} source
 * @param {string} prefix
 */
function citationOf(n, source, prefix) {
  if (source === undefined) return unknownCitation(n);
  const link = document.createElement("a");
  link.className = "citation";
  link.href = `#${prefix}-source-${n}`;
  link.textContent = `[${n}]`;
  link.setAttribute("aria-label", `Source ${n}, ${source}`);
  link.title = source;
  return link;
}

/** @param {number} n */
function unknownCitation(n) {
  const marker = document.createElement("span");
  marker.className = "citation unknown";
  marker.title = "No source has this number";
  const spoken = document.createElement("span");
  spoken.className = "spoken";
  spoken.textContent = " no such source";
  marker.append(`[${n}?]`, spoken);
  return marker;
}

/** @param {Element} scroller */
function makeScrollable(scroller) {
  scroller.setAttribute("tabindex", "0"); // so that the keyboard can scroll to the clipped part
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", scroller.tagName === "PRE" ? "Code" : "Table");
}
