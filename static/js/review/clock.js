// Times as people read them. Pure.

/** @typedef {Record<string, string>} Strings */

/** @param {string} template with {name} holes @param {Record<string, string|number>} values */
export function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {number} seconds @param {Strings} strings */
export function duration(seconds, strings) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) {
    return fill(strings.seconds, { n: whole });
  }
  if (whole < 5400) {
    return fill(strings.minutes, { n: Math.round(whole / 60) });
  }
  if (whole < 172_800) {
    return fill(strings.hours, { n: Math.round(whole / 3600) });
  }
  return fill(strings.days, { n: Math.round(whole / 86_400) });
}

/**
 * A deadline as seen from now: its words and whether it has passed.
 * @param {string} deadline ISO @param {number} now milliseconds @param {Strings} strings
 */
export function against(deadline, now, strings) {
  const left = (Date.parse(deadline) - now) / 1000;
  const isOver = left < 0;
  return {
    isOver,
    text: fill(isOver ? strings.overdue : strings.due_in, { t: duration(Math.abs(left), strings) }),
  };
}

/** @param {string} iso @param {string} language */
export function moment(iso, language) {
  return new Intl.DateTimeFormat(language, {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).format(new Date(iso));
}
