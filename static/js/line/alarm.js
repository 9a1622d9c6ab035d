// Sound and vibration: two tones for a hold until it is acknowledged, one soft tone for the rest.

export const REPEAT_MS = 30_000;
const HOLD_TONES = /** @type {const} */ ([[880, 0, 0.22], [587, 0.26, 0.32], [880, 0.66, 0.22], [587, 0.92, 0.32]]);
const SOFT_TONES = /** @type {const} */ ([[523, 0, 0.25]]);
const HOLD_BUZZ = [400, 120, 400];
const SOFT_BUZZ = [120];

/**
 * What there is to hear on a board. `hold` names the hold until it is acknowledged; `soft` names
 * everything that calls once.
 * @param {import("./types.js").BoardState} board @param {import("./types.js").Scene} scene
 * @returns {{hold: string, soft: string[]}}
 */
export function heard(board, scene) {
  const soft = board.calls.filter((call) => call.answered_at).map((call) => `answered/${call.id}`);
  if (board.check && !board.check.done_by) {
    soft.push(`check/${board.check.id}/${board.check.unfit}`);
  }
  return { hold: scene.state === "HOLD" ? scene.meaning : "", soft };
}

/** When to sound what. */
export class Alarm {
  /**
   * @param {{sound: (kind: "hold"|"soft") => void, every?: (run: () => void, ms: number) => unknown,
   *   stop?: (timer: any) => void}} options
   */
  constructor({ sound, every = (run, ms) => setInterval(run, ms), stop = (timer) => clearInterval(timer) }) {
    this.sound = sound;
    this.every = every;
    this.stop = stop;
    this.hold = "";
    /** @type {unknown} */
    this.timer = null;
    /** @type {Set<string>|null} null until the first board: what stood there before calls nobody */
    this.soft = null;
  }

  /** @param {{hold: string, soft: string[]}} now */
  hear({ hold, soft }) {
    if (hold !== this.hold) {
      this.#turn(hold);
    }
    const isNew = this.soft !== null && soft.some((name) => !this.soft?.has(name));
    this.soft = new Set(soft);
    if (isNew && !hold) {
      this.sound("soft");
    }
  }

  /** @param {string} hold */
  #turn(hold) {
    this.hold = hold;
    if (this.timer !== null) {
      this.stop(this.timer);
      this.timer = null;
    }
    if (hold) {
      this.sound("hold");
      this.timer = this.every(() => this.sound("hold"), REPEAT_MS);
    }
  }
}

/** The tablet's loudspeaker; a browser gives it only after a first touch. */
export class Speaker {
  /** @param {{volume: number}} options 0..1 */
  constructor({ volume }) {
    this.volume = volume;
    /** @type {AudioContext|null} */
    this.context = null;
  }

  get isUnlocked() {
    return this.context?.state === "running";
  }

  /** At a touch or key: from then on it may sound. */
  async unlock() {
    if (!globalThis.AudioContext) {
      return false;
    }
    this.context ??= new AudioContext();
    if (this.context.state !== "running") {
      await this.context.resume();
    }
    return this.isUnlocked;
  }

  /** @param {"hold"|"soft"} kind */
  play(kind) {
    navigator.vibrate?.(kind === "hold" ? HOLD_BUZZ : SOFT_BUZZ);
    if (!this.context || !this.isUnlocked) {
      return;
    }
    for (const [pitch, from, long] of kind === "hold" ? HOLD_TONES : SOFT_TONES) {
      this.#tone(this.context, pitch, from, long);
    }
  }

  /** @param {AudioContext} context @param {number} pitch @param {number} from seconds @param {number} long seconds */
  #tone(context, pitch, from, long) {
    const [source, loudness] = [context.createOscillator(), context.createGain()];
    const [starts, ends] = [context.currentTime + from, context.currentTime + from + long];
    source.frequency.value = pitch;
    // Neither end of a tone clicks.
    loudness.gain.setValueAtTime(0, starts);
    loudness.gain.linearRampToValueAtTime(this.volume, starts + 0.02);
    loudness.gain.setValueAtTime(this.volume, ends - 0.04);
    loudness.gain.linearRampToValueAtTime(0, ends);
    source.connect(loudness).connect(context.destination);
    source.start(starts);
    source.stop(ends);
  }
}
