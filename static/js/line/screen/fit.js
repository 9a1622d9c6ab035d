// Text as large as its place allows, and no larger than it is meant to be.

const STEP = 0.94;
// An element that is gone is not watched any more.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    fit(/** @type {HTMLElement} */ (target));
  }
});

/**
 * Shrinks what is inside, by `--fit`, until it fits.
 * @param {HTMLElement} element of fixed size, hiding what is too much; `data-least` is the smallest share
 */
export function fit(element) {
  const least = Number(element.dataset.least) || 0.4;
  let share = 1;
  const set = () => element.style.setProperty("--fit", share.toFixed(3));
  set();
  while (share > least && isTooMuch(element)) {
    share *= STEP;
    set();
  }
}

/** Text in one line is too much by its width alone. @param {HTMLElement} element */
function isTooMuch({ dataset, scrollHeight, clientHeight, scrollWidth, clientWidth }) {
  const isTooHigh = dataset.fit !== "width" && scrollHeight > clientHeight + 1;
  return isTooHigh || scrollWidth > clientWidth + 1;
}

/** Keep the elements fitted while their places change. @param {HTMLElement[]} elements */
export function keepFitted(elements) {
  elements.forEach((element) => {
    fit(element);
    observer.observe(element);
  });
}
