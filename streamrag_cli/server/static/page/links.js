// @ts-check
/** What leads out of an answer: addresses, shown, and citations, which lead to their source. */

/**
 * Make a fragment of an answer fit for the page.
 * @param {DocumentFragment} fragment
 * @param {ReadonlyMap<number, string>} sources names by number
 */
export function decorate(fragment, sources) {
  for (const link of fragment.querySelectorAll("a[href]")) showAddress(/** @type {HTMLAnchorElement} */ (link));
  for (const marker of fragment.querySelectorAll("span.citation")) resolveCitation(marker, sources);
  for (const scroller of fragment.querySelectorAll("pre, div.table")) makeScrollable(scroller);
  for (const block of fragment.querySelectorAll("p, h3, h4, h5, h6, li, td, th")) block.setAttribute("dir", "auto");
}

/** @param {HTMLAnchorElement} link */
function showAddress(link) {
  const address = link.getAttribute("href") ?? "";
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = address;
  const where = link.protocol === "mailto:" ? decodeLoosely(link.pathname) : link.host;
  const words = (link.textContent ?? "").trim();
  if (words === address || words === where) return;
  const shown = document.createElement("span");
  shown.className = "address";
  shown.textContent = ` (${where})`;
  link.after(shown);
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
 * @param {Element} marker holds the numbers of one `[...]`, with commas between
 * @param {ReadonlyMap<number, string>} sources
 */
function resolveCitation(marker, sources) {
  const numbers = (marker.textContent ?? "").split(",").map(Number);
  if (marker.closest("a"))
    marker.replaceWith(`[${numbers.join(", ")}]`); // a link in a link is none
  else marker.replaceWith(...numbers.map((n) => citationOf(n, sources.get(n))));
}

/**
 * @param {number} n
 * @param {string | undefined} source
 */
function citationOf(n, source) {
  if (source === undefined) return unknownCitation(n);
  const link = document.createElement("a");
  link.className = "citation";
  link.href = `#source-${n}`;
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
  scroller.setAttribute("tabindex", "0"); // else the keyboard cannot reach what is cut off
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", scroller.tagName === "PRE" ? "Code" : "Table");
}
