// Numbers as the page's language writes them.

/** @param {number} value a score between 0 and 1 */
export function scoreWords(value) {
  const language = globalThis.document?.documentElement?.lang || undefined;
  return value.toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}
