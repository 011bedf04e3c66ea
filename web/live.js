/**
 * @file Pages that follow what happens. The server's event stream says that something changed; the page is then fetched again, and each
 * element with an id and `data-live` is replaced by the one in its place. Progress of running syncs is painted from the stream itself.
 */
import { page } from './api.js';
import { paintTimes } from './times.js';

const LEAST_MS = 700; // between two fetches: a busy server has many events
const AGAIN_MS = 5000; // after an error
const number = new Intl.NumberFormat('en');

const sources = new Map(); // by id: what each live part was made from
let source = null;
let seen = null;
let last = 0;
let timer = null;
let busy = false;
let wanted = false;

/** What a person opened or focused stays so. */
function keepState(from, to) {
  from.querySelectorAll('details[open][id]').forEach((el) => {
    to.querySelector(`#${CSS.escape(el.id)}`)?.setAttribute('open', '');
  });
  from.querySelectorAll('.scroll, .chart').forEach((el, i) => {
    const other = to.querySelectorAll('.scroll, .chart')[i];
    if (other && el.scrollLeft) requestAnimationFrame(() => { other.scrollLeft = el.scrollLeft; });
  });
}

const nameOf = (el) => el.getAttribute('href') ?? el.getAttribute('aria-label');

/** Where the focus is, in words that find the same thing again. */
function focusPath(root) {
  const el = document.activeElement;
  if (!root.contains(el) || el === root) return null;
  const same = [...root.querySelectorAll(el.tagName)];
  return { tag: el.tagName, at: same.indexOf(el), name: nameOf(el) };
}

function refocus(root, path) {
  if (!path) return;
  const same = [...root.querySelectorAll(path.tag)];
  (same.find((el) => path.name && nameOf(el) === path.name) ?? same[path.at])?.focus({ preventScroll: true });
}

/** What a person is writing is not taken away. */
function isTypedIn(root) {
  const el = document.activeElement;
  return root.contains(el) && el.matches('input, textarea') && el.value !== el.defaultValue;
}

/** Takes over the live parts of a document made anew. @param {Document} fresh */
export function adopt(fresh) {
  document.querySelectorAll('[data-live][id]').forEach((old) => {
    const now = fresh.getElementById(old.id);
    if (!now || sources.get(old.id) === now.outerHTML || isTypedIn(old)) return;
    const focus = focusPath(old);
    const node = document.importNode(now, true);
    sources.set(old.id, now.outerHTML);
    keepState(old, node);
    paintTimes(node);
    old.replaceWith(node);
    refocus(node, focus);
    node.dispatchEvent(new CustomEvent('sl:adopted', { bubbles: true }));
  });
}

/** Fetches this page again and takes over what is live; soon, and not too often. */
export function refresh() {
  wanted = true;
  if (timer || busy) return;
  timer = setTimeout(async () => {
    timer = null;
    wanted = false;
    busy = true;
    try {
      adopt(await page());
    } catch {
      setTimeout(refresh, AGAIN_MS);
    }
    busy = false;
    last = Date.now();
    if (wanted) refresh();
  }, Math.max(0, last + LEAST_MS - Date.now()));
}

function paintProgress(running) {
  running.forEach((sync) => {
    document.querySelectorAll(`[data-progress="${CSS.escape(sync.connection_id)}"]`).forEach((el) => {
      el.textContent = `${sync.stage}, ${number.format(sync.rows)} rows`;
    });
  });
}

/** An event in which only rows differ is progress; all else means that the page may differ. */
function onRunning(event) {
  const running = JSON.parse(event.data);
  const key = JSON.stringify(running.map((s) => [s.sync_id, s.stage]));
  const all = event.data;
  const first = seen === null;
  const changed = !first && (key !== seen.key || all === seen.all);
  seen = { key, all };
  paintProgress(running);
  document.dispatchEvent(new CustomEvent('sl:running', { detail: running }));
  if (changed) refresh();
}

function open() {
  if (source || document.hidden) return;
  source = new EventSource('/v1/events');
  source.addEventListener('running', onRunning);
  source.addEventListener('open', () => document.documentElement.setAttribute('data-connected', ''));
  source.addEventListener('error', () => {
    document.documentElement.removeAttribute('data-connected');
    if (source?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    close();
    setTimeout(() => { open(); refresh(); }, AGAIN_MS);
  });
}

function close() {
  source?.close();
  source = null;
  seen = null;
}

/** Only pages that are looked at hold a stream: a browser has six connections for all its tabs. */
export function startLive() {
  if (!document.querySelector('[data-live]')) return;
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      close();
    } else {
      open();
      refresh();
    }
  });
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => { if (event.persisted) { open(); refresh(); } });
  open();
}
