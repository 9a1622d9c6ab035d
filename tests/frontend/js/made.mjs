// What the tests hand in: tasks, a server that can be told to fail, a clock and timers that stand still.

import { ApiError } from "../../../static/js/review/api.js";

let count = 0;

export function task(fields = {}) {
  count += 1;
  return { id: `task-${count}`, fence: 1, unit: { serial: `SN-${count}` }, views: [], ...fields };
}

export class Server {
  constructor(waiting = 10) {
    this.queue = Array.from({ length: waiting }, () => task());
    this.received = [];
    this.released = [];
    this.undone = [];
    this.failures = [];
    this.lost = [];
  }

  async claim(n) {
    return this.queue.splice(0, n);
  }

  async send(entry) {
    const failure = this.failures.shift();
    if (failure) {
      if (failure.arrives) {
        this.received.push({ ...entry });
      }
      throw new ApiError(failure.status, failure.code ?? "", failure.detail ?? "", failure.after ?? null);
    }
    this.received.push({ ...entry });
    return { decision: `decision-of-${entry.task}`, undo_seconds: 8 };
  }

  async undo(decision) {
    this.undone.push(decision);
    const id = decision.replace("decision-of-", "");
    return task({ id, fence: 2 });
  }

  async heartbeat(leases) {
    this.beaten = leases;
    return { kept: [], lost: this.lost };
  }

  release(given) {
    this.released.push(given.id);
  }
}

export function memory(entries = []) {
  return { kept: entries, load: () => entries.map((e) => ({ ...e })), save(now) { this.kept = now.map((e) => ({ ...e })); } };
}

export class Timers {
  constructor() {
    this.waiting = [];
    this.set = (run, seconds) => this.waiting.push({ run, seconds });
  }

  async fire() {
    const due = this.waiting.splice(0);
    due.forEach(({ run }) => run());
    await settle();
    return due.map(({ seconds }) => seconds);
  }
}

/** Let every promise that can go on go on. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) {
    await Promise.resolve();
  }
}
