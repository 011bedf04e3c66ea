/** @file <time> in the viewer's zone and words. The server writes UTC. */

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: '2-digit' });
const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });

const STEPS = [
  [60, 1, 'second'],
  [3600, 60, 'minute'],
  [86400, 3600, 'hour'],
  [30 * 86400, 86400, 'day'],
  [365 * 86400, 30 * 86400, 'month'],
  [Infinity, 365 * 86400, 'year'],
];

/** "5 min. ago", "in 2 hr." @param {number} ms since now; negative: in the past */
function relative(ms) {
  const s = Math.round(ms / 1000);
  if (Math.abs(s) < 5) return 'now';
  const [, size, unit] = STEPS.find(([limit]) => Math.abs(s) < limit);
  return ago.format(Math.trunc(s / size), unit);
}

/** @param {Date} when */
export const clockText = (when) => clock.format(when);

/** "Nov 24"; today: nothing. @param {Date} when */
export const dayText = (when) => (when.toDateString() === new Date().toDateString() ? '' : day.format(when));

/** @param {Date} when */
export const exactText = (when) => exact.format(when);

/** Paints one <time>. @param {HTMLTimeElement} el */
function paint(el) {
  const when = new Date(el.dateTime);
  if (Number.isNaN(when.getTime())) return;
  const form = el.dataset.form;
  const text = form === 'ago' ? relative(when - Date.now()) : form === 'clock' ? clock.format(when) : full.format(when);
  if (el.textContent !== text) el.textContent = text;
  el.title = exact.format(when);
}

/** All below an element. @param {ParentNode} root */
export function paintTimes(root = document) {
  root.querySelectorAll('time[datetime]').forEach(paint);
  root.querySelectorAll('option[data-time]').forEach((el) => {
    const when = new Date(el.dataset.time);
    if (!el.dataset.said && !Number.isNaN(when.getTime())) {
      el.dataset.said = 'yes';
      el.textContent += `, ${full.format(when)}`;
    }
  });
}

export function startTimes() {
  paintTimes();
  setInterval(() => document.querySelectorAll('time[data-form="ago"]').forEach(paint), 10000);
}
