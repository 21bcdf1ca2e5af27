// @ts-check

/**
 * Scroll to an element, without motion if the system asks for that.
 * @param {HTMLElement} element
 * @param {ScrollLogicalPosition} block
 */
export function scrollTo(element, block) {
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ behavior: isCalm ? "instant" : "smooth", block });
}
