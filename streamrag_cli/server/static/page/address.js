// @ts-check
/** The chosen collection in the page's address, so that a link or a bookmark leads to it. */

const NAME = "collection";

/** The collection in the address; null if there is none. */
export function collectionInAddress() {
  return new URLSearchParams(location.search).get(NAME);
}

/**
 * Show the collection in the address.
 * @param {string} collection "" for the server's default, which is left out
 * @param {{ isNewEntry?: boolean }} [options] whether "Back" returns to the previous collection
 */
export function showInAddress(collection, { isNewEntry = false } = {}) {
  const url = new URL(location.href);
  if (collection) url.searchParams.set(NAME, collection);
  else url.searchParams.delete(NAME);
  if (url.href === location.href) return;
  if (isNewEntry) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}
