// What belongs to the page without network, by address. Pure.

const PREFIX = "loupe-line-shell-";
// Pages below /line/ that are no station's.
const OTHERS = new Set(["guide", "second-opinions", "register", "images"]);

/** @param {string} version */
export function shellCache(version) {
  return PREFIX + version;
}

/** The caches of other versions. @param {string[]} names @param {string} current */
export function staleCaches(names, current) {
  return names.filter((name) => name.startsWith(PREFIX) && name !== current);
}

/** @param {string} path */
export function isStationPage(path) {
  const [, station] = /^\/line\/([^/]+)\/$/.exec(path) ?? [];
  return station !== undefined && !OTHERS.has(station);
}

/** A static file whose name changes with its content. @param {string} path @param {string} base */
export function isHashed(path, base) {
  return path.startsWith(base) && /\.[0-9a-f]{12}\.\w+$/.test(path);
}
