/**
 * @file The log of a connection. Only the lines in sight are elements: a hundred thousand scroll as ten do. Each takes one row; the one that is
 * opened shows all of its text. At the end it follows what comes; scrolled up it stays where it is.
 */
import { say } from './actions.js';
import { LogLines } from './loglines.js';
import { clockText, dayText, exactText } from './times.js';

const ROW = 22;
const SPARE = 12; // rows above and below those in sight
const TYPING_MS = 250;
const number = new Intl.NumberFormat('en');

const box = document.getElementById('log');
const form = document.querySelector('form[data-filter="log"]');
const download = document.getElementById('log-download');
const path = `/v1/connections/${box.dataset.connection}/logs`;

const list = document.createElement('ol');
const none = element('p', '', { className: 'none dim', hidden: true });
const state = element('p', '', { id: 'log-state', className: 'dim' });
const followButton = element('button', 'Follow', { type: 'button', className: 'quiet', id: 'log-follow' });
const freshButton = element('button', '', { type: 'button', className: 'primary', id: 'log-fresh', hidden: true });

let lines = null;
let shown = new Map(); // elements by place
let opened = new Map(); // by place: how much higher than a row
let follow = true;
let fresh = 0;
let lastTop = 0;
let target = 0; // number of the line that the address names

function element(tag, text, more = {}) {
  const el = document.createElement(tag);
  el.textContent = text;
  return Object.assign(el, more);
}

const filterNow = () => new URLSearchParams([...new FormData(form)].filter(([, v]) => v !== ''));

/* ---- places ---- */

function topOf(place) {
  let top = place * ROW;
  opened.forEach((more, at) => { if (at < place) top += more; });
  return top;
}

function placeAt(y) {
  let place = Math.floor(y / ROW);
  [...opened].sort(([a], [b]) => a - b).forEach(([at, more]) => {
    if (at < place) place = Math.max(at, place - Math.floor(more / ROW));
  });
  return Math.max(0, Math.min(place, lines.count - 1));
}

/* ---- one line ---- */

function rowOf(line, place) {
  const li = element('li', '', { id: `L${line.number}`, tabIndex: -1 });
  const when = new Date(line.time);
  const rows = line.message.split('\n');
  const link = element('a', '', { href: `#L${line.number}`, tabIndex: -1, title: exactText(when) });
  const day = dayText(when);
  link.append(element('span', day && `${day} `, { className: 'day' }), clockText(when));
  const time = element('span', '', { className: 'dim' });
  time.append(link);
  li.dataset.level = line.level;
  li.dataset.place = place;
  li.classList.toggle('target', line.number === target);
  li.append(time, element('b', line.level), element('span', rows[0]));
  if (rows.length > 1) li.append(element('i', `+${rows.length - 1} lines`));
  if (opened.has(place)) open(li, line);
  return li;
}

/** All of it, and what can be done with it. */
function open(li, line) {
  const whole = element('div', '', { className: 'whole' });
  const buttons = element('div', '', { className: 'buttons' });
  const address = () => `${location.origin}${location.pathname}${location.search}#L${line.number}`;
  buttons.append(copyButton('Copy text', () => line.message), copyButton('Copy link', address));
  buttons.append(element('span', `${exactText(new Date(line.time))} · ${line.origin}`, { className: 'dim' }));
  whole.append(element('pre', line.message, { tabIndex: 0 }), buttons);
  li.classList.add('open');
  li.append(whole);
}

function copyButton(label, text) {
  const button = element('button', label, { type: 'button', className: 'quiet', hidden: !navigator.clipboard });
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text());
    say('Copied');
  });
  return button;
}

function toggle(place) {
  if (!lines.at(place)) return;
  if (!opened.delete(place)) opened.set(place, 0);
  replace(place);
  paint();
  shown.get(place)?.focus({ preventScroll: true });
}

function replace(place) {
  shown.get(place)?.remove();
  shown.delete(place);
}

/* ---- what is in sight ---- */

function paintRow(place) {
  const line = lines.at(place);
  let li = shown.get(place);
  if (li && (line === undefined || 'level' in li.dataset)) return;
  li?.remove();
  li = line ? rowOf(line, place) : element('li', line === null ? '(removed: the log has a limit)' : '…', { className: 'dim' });
  shown.set(place, li);
  list.append(li);
  if (!opened.has(place)) return;
  opened.set(place, li.offsetHeight - ROW);
}

function paint() {
  if (!lines) return;
  const first = lines.count ? placeAt(box.scrollTop) - SPARE : 0;
  const last = Math.min(lines.count, first + Math.ceil(box.clientHeight / ROW) + 2 * SPARE + 1);
  for (const [place, li] of shown) {
    if ((place < first || place >= last) && !li.contains(document.activeElement)) replace(place);
  }
  for (let place = Math.max(0, first); place < last; place += 1) paintRow(place);
  shown.forEach((li, place) => { li.style.top = `${topOf(place)}px`; });
  list.style.height = `${topOf(lines.count)}px`;
}

function paintState() {
  const filtered = filterNow().size > 0;
  const what = lines.count === 1 ? 'line' : 'lines';
  state.textContent = lines.count ? `${number.format(lines.count)} ${what}${filtered ? ' match' : ''}` : '';
  none.textContent = filtered ? 'No line matches.' : 'No line yet: the first sync writes some.';
  none.hidden = lines.count > 0;
  followButton.setAttribute('aria-pressed', String(follow));
  freshButton.hidden = fresh === 0;
  freshButton.textContent = `${number.format(fresh)} new ${fresh === 1 ? 'line' : 'lines'} ↓`;
}

function toEnd() {
  follow = true;
  fresh = 0;
  paint();
  box.scrollTop = box.scrollHeight;
  lastTop = box.scrollTop;
  paint();
  paintState();
}

function onScroll() {
  const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - ROW / 2;
  if (box.scrollTop < lastTop && !atEnd) follow = false;
  else if (box.scrollTop > lastTop && atEnd) { follow = true; fresh = 0; }
  lastTop = box.scrollTop;
  paint();
  paintState();
}

/* ---- another filter, another line ---- */

async function show() {
  const filter = filterNow();
  const mine = new LogLines(path, filter, {
    loaded: () => { if (mine === lines) paint(); },
    added: (n) => {
      if (mine !== lines) return;
      if (follow) { toEnd(); return; }
      fresh += n;
      paint();
      paintState();
    },
    failed: (error) => say(error.message, 'bad'),
  });
  const query = new URLSearchParams(filter);
  query.set('download', 'true');
  download.href = `${path}?${query}`;
  box.setAttribute('aria-busy', 'true');
  try {
    await mine.open();
    if (String(filterNow()) !== String(filter)) return; // a later one is on its way
    lines?.close();
    lines = mine;
    list.replaceChildren();
    shown = new Map();
    opened = new Map();
    if (!(await toTarget())) toEnd();
    if (!document.hidden) lines.follow();
  } catch (error) {
    say(error.message, 'bad');
  }
  box.removeAttribute('aria-busy');
}

/** Goes to the line that the address names. */
async function toTarget() {
  target = Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
  if (!target) return false;
  const place = await lines.find(target);
  if (place < 0) {
    say('That line is not here: the filters hide it, or the log has removed it', 'bad');
    return false;
  }
  follow = false;
  opened.set(place, 0);
  shown.forEach((li) => li.remove());
  shown.clear();
  list.style.height = `${topOf(lines.count)}px`;
  box.scrollTop = Math.max(0, topOf(place) - box.clientHeight / 3);
  lastTop = box.scrollTop;
  paint();
  paintState();
  shown.get(place)?.focus({ preventScroll: true });
  return true;
}

/* ---- hands ---- */

function onKey(event) {
  const li = event.target.closest('li');
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.target.closest('pre, button')) return;
  if (event.key === 'Enter' && li && !event.target.closest('a')) {
    toggle(Number(li.dataset.place));
  } else if (event.key === 'End') {
    toEnd();
  } else if (step && (li || step < 0 || !follow)) {
    const place = li ? Number(li.dataset.place) + step : placeAt(box.scrollTop + (step < 0 ? box.clientHeight - ROW : ROW));
    focusRow(Math.max(0, Math.min(place, lines.count - 1)));
  } else {
    return;
  }
  event.preventDefault();
}

function focusRow(place) {
  const top = topOf(place);
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  paint();
  shown.get(place)?.focus({ preventScroll: true });
}

function start() {
  let timer = null;
  const soon = (event) => {
    event.preventDefault();
    clearTimeout(timer);
    timer = setTimeout(() => {
      const text = filterNow().toString();
      history.replaceState(null, '', text ? `?${text}` : location.pathname);
      show();
    }, event.type === 'submit' ? 0 : TYPING_MS);
  };
  box.removeAttribute('data-live');
  box.classList.add('windowed');
  box.replaceChildren(none, list);
  box.after(freshButton, state);
  download.before(followButton);
  form.addEventListener('input', soon);
  form.addEventListener('submit', soon);
  box.addEventListener('scroll', onScroll, { passive: true });
  box.addEventListener('keydown', onKey);
  box.addEventListener('click', (event) => {
    const li = event.target.closest('li[data-place]');
    if (li && !event.target.closest('a, .whole') && getSelection().isCollapsed) toggle(Number(li.dataset.place));
  });
  new ResizeObserver(() => { if (lines && follow) toEnd(); else paint(); }).observe(box);
  followButton.addEventListener('click', () => { if (follow) { follow = false; paintState(); } else toEnd(); });
  freshButton.addEventListener('click', toEnd);
  addEventListener('hashchange', () => toTarget());
  addEventListener('pagehide', () => lines?.close());
  document.addEventListener('visibilitychange', () => { if (document.hidden) lines?.close(); else lines?.follow(); });
  show();
}

start();
