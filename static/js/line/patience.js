// How long an answer is waited for, also in a browser that cannot count it by itself.

/**
 * @param {number} ms @param {AbortSignal} [other] what ends the waiting sooner
 * @returns {AbortSignal}
 */
export function within(ms, other) {
  if (typeof AbortSignal.timeout === "function" && (!other || typeof AbortSignal.any === "function")) {
    const patience = AbortSignal.timeout(ms);
    return other ? AbortSignal.any([other, patience]) : patience;
  }
  const both = new AbortController();
  const end = () => {
    clearTimeout(timer);
    both.abort();
  };
  const timer = setTimeout(end, ms);
  if (other?.aborted) {
    end();
  }
  other?.addEventListener("abort", end, { signal: both.signal });
  return both.signal;
}
