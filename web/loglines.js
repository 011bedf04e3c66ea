/**
 * @file The lines of a log that match a filter, as one long list of which only some pages are here. The server says how many there are and
 * where each page begins (logs?index); pages are fetched when they are looked at; new lines come as events.
 */
import { call } from './api.js';

const EVERY = 200; // lines of a page
const KEPT = 40; // pages

export class LogLines {
  count = 0;
  #numbers = []; // of the first line of each page
  #pages = new Map(); // by their place: lines, or null while they come; looked at last is last
  #late = []; // what was added to the last page while it came
  #last = 0; // number of the newest line that is known of
  #source = null;

  /**
   * @param {string} path of the API @param {URLSearchParams} filter
   * @param {{loaded: function, added: function(number), failed: function(Error)}} on
   */
  constructor(path, filter, on) {
    this.path = path;
    this.filter = filter;
    this.on = on;
  }

  #address(more) {
    const query = new URLSearchParams(this.filter);
    Object.entries(more).forEach(([name, value]) => query.set(name, value));
    return `${this.path}?${query}`;
  }

  /** How many there are. To be called first. */
  async open() {
    const { data } = await call('GET', this.#address({ index: EVERY }));
    this.count = data.count;
    this.#numbers = data.numbers;
    this.#last = data.last;
    await this.#load(this.#numbers.length - 1); // the end is looked at first
  }

  /** The line at a place; undefined: it is fetched, and on.loaded() told. null: it is gone. */
  at(place) {
    const page = Math.floor(place / EVERY);
    const lines = this.#pages.get(page);
    if (lines === undefined) this.#load(page).catch(this.on.failed);
    if (!lines) return undefined;
    this.#pages.delete(page);
    this.#pages.set(page, lines);
    return lines[place % EVERY] ?? null;
  }

  async #load(page) {
    if (!(page in this.#numbers)) return null;
    this.#pages.set(page, null);
    if (page === this.#numbers.length - 1) this.#late = [];
    try {
      const { data } = await call('GET', this.#address({ limit: EVERY, after: this.#numbers[page] - 1 }));
      const end = this.#numbers[page + 1] ?? Infinity;
      const lines = data.items.filter((line) => line.number < end);
      // The last page ends where the count does: what came since is told by the stream.
      if (end === Infinity) {
        const newest = lines.at(-1)?.number ?? 0;
        lines.push(...this.#late.filter((line) => line.number > newest));
        lines.splice(this.count - page * EVERY);
      }
      this.#pages.set(page, lines);
    } catch (error) {
      this.#pages.delete(page);
      throw error;
    }
    for (const [old, lines] of this.#pages) {
      if (this.#pages.size <= KEPT) break;
      if (lines) this.#pages.delete(old);
    }
    this.on.loaded();
    return this.#pages.get(page);
  }

  /** The place of the line with this number; -1: it is not among them. */
  async find(number) {
    let page = this.#numbers.findLastIndex((first) => first <= number);
    if (page < 0) return -1;
    const lines = this.#pages.get(page) ?? await this.#load(page);
    const at = lines.findIndex((line) => line.number === number);
    return at < 0 ? -1 : page * EVERY + at;
  }

  #add(line) {
    if (line.number <= this.#last) return false;
    this.#last = line.number;
    const page = Math.floor(this.count / EVERY);
    if (this.count % EVERY === 0) {
      this.#numbers.push(line.number);
      this.#pages.set(page, []);
      this.#late = [];
    }
    (this.#pages.get(page) ?? this.#late).push(line);
    this.count += 1;
    return true;
  }

  /** New lines from now on; told once for all that come between two frames. */
  follow() {
    if (this.#source) return;
    let added = 0;
    this.#source = new EventSource(this.#address({ follow: true, after: this.#last }));
    this.#source.addEventListener('log', (event) => {
      if (!this.#add(JSON.parse(event.data))) return;
      if (added === 0) requestAnimationFrame(() => { const n = added; added = 0; this.on.added(n); });
      added += 1;
    });
  }

  close() {
    this.#source?.close();
    this.#source = null;
  }
}
