// Drawings that no verdict has carried away yet, kept on this computer for one person: through a
// reload, a lost hold on the unit, a network that is gone.

export const VERSION = 1;
export const MOST = 50;
export const LASTS_MS = 7 * 24 * 3600 * 1000;

/**
 * @typedef {import("./drawing.js").Drawn} Drawn
 * @typedef {{version: number, at: number, captures: Record<string, string>, regions: Drawn[],
 *   pending: import("./drawing.js").Pending|null, isLost: boolean}} Draft `captures`: view ->
 *   capture; `isLost`: the hold on the unit ended while this was on the screen
 */

export class Drafts {
  /**
   * @param {{storage: Storage|null, person: string, now: () => number, onTrouble: () => void}} options
   *   `onTrouble`: told once when a drawing can be kept in this page only
   */
  constructor({ storage, person, now, onTrouble }) {
    this.storage = storage;
    this.prefix = `loupe-drawing:${encodeURIComponent(person)}:`;
    this.now = now;
    this.onTrouble = onTrouble;
    this.isTroubled = false;
    /** @type {Map<string, Draft>} what the storage did not take */
    this.memory = new Map();
    this.#sweep(MOST);
  }

  /** @param {string} task @returns {Draft|null} */
  load(task) {
    return this.memory.get(task) ?? this.#read(this.prefix + task);
  }

  /** @param {string} task @param {Omit<Draft, "version"|"at">} draft */
  save(task, draft) {
    const whole = { version: VERSION, at: this.now(), ...draft };
    if (this.#write(task, JSON.stringify(whole))) {
      this.memory.delete(task);
      return;
    }
    this.memory.delete(task);
    this.memory.set(task, whole);
    const [oldest] = this.memory.keys();
    if (this.memory.size > MOST) {
      this.memory.delete(oldest);
    }
    if (!this.isTroubled) {
      this.isTroubled = true;
      this.onTrouble();
    }
  }

  /** @param {string} task */
  remove(task) {
    this.memory.delete(task);
    try {
      this.storage?.removeItem(this.prefix + task);
    } catch {
      // Forbidden since: what is there cannot be read either.
    }
  }

  /**
   * A drawing made of the same images under another task.
   * @param {string} task @param {string[]} captures @returns {{task: string, draft: Draft}|null}
   */
  sameImages(task, captures) {
    const mine = new Set(captures);
    const others = [...new Set([...this.#stored(), ...this.memory.keys()])];
    for (const other of others.filter((each) => each !== task)) {
      const draft = this.load(other);
      if (draft && Object.values(draft.captures).some((capture) => mine.has(capture))) {
        return { task: other, draft };
      }
    }
    return null;
  }

  /** @param {string} task @param {string} text */
  #write(task, text) {
    try {
      if (!this.storage) {
        return false;
      }
      if (this.storage.getItem(this.prefix + task) === null) {
        this.#sweep(MOST - 1);
      }
      this.storage.setItem(this.prefix + task, text);
      return true;
    } catch {
      // Full or forbidden; an older text of this task would come back as if it were the last.
      this.remove(task);
      return false;
    }
  }

  /** Forget what has expired or cannot be read, and the oldest above `most`. @param {number} most */
  #sweep(most) {
    const kept = [];
    for (const task of this.#stored()) {
      const draft = this.#read(this.prefix + task);
      if (draft) {
        kept.push({ task, at: draft.at });
      } else {
        this.remove(task);
      }
    }
    kept.sort((one, other) => other.at - one.at || (one.task < other.task ? -1 : 1));
    kept.slice(most).forEach(({ task }) => this.remove(task));
  }

  /** @returns {string[]} */
  #stored() {
    try {
      const { storage } = this;
      const names = Array.from({ length: storage?.length ?? 0 }, (_, n) => storage?.key(n) ?? "");
      return names
        .filter((name) => name.startsWith(this.prefix))
        .map((name) => name.slice(this.prefix.length));
    } catch {
      return [];
    }
  }

  /** @param {string} name @returns {Draft|null} */
  #read(name) {
    try {
      const draft = JSON.parse(this.storage?.getItem(name) ?? "null");
      const isOurs = draft?.version === VERSION && Array.isArray(draft.regions);
      return isOurs && this.now() - draft.at < LASTS_MS ? draft : null;
    } catch {
      return null;
    }
  }
}
