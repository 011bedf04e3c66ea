/** @file What every page does: times, live parts, actions, and small comforts. */
import { say, startActions } from './actions.js';
import { page } from './api.js';
import { adopt, startLive } from './live.js';
import { startTimes } from './times.js';

const TYPING_MS = 250;

/** Forms with data-filter="list" act while one types: the page's live parts follow, and its address does. */
function startFilters() {
  document.querySelectorAll('form[data-filter="list"]').forEach((form) => {
    let timer = null;
    const apply = async () => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, v]) => v !== ''));
      const text = query.toString();
      history.replaceState(null, '', text ? `?${text}` : location.pathname);
      try {
        adopt(await page());
      } catch (error) {
        say(error.message, 'bad');
      }
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(apply, TYPING_MS);
    };
    form.addEventListener('input', soon);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      clearTimeout(timer);
      apply();
    });
  });
  document.querySelectorAll('[data-noscript]').forEach((el) => { el.hidden = true; });
}

/** "/" goes to the search, as data-key says; Escape closes menus. */
function startKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') document.querySelectorAll('details[data-menu][open]').forEach((el) => { el.open = false; });
    if (event.target.closest('input, select, textarea')) return;
    const el = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!el) return;
    event.preventDefault();
    el.focus();
  });
  document.addEventListener('click', (event) => {
    document.querySelectorAll('details[data-menu][open]').forEach((el) => { if (!el.contains(event.target)) el.open = false; });
  });
}

/** Arrows go from the search to the list and from row to row; Enter opens, as it does with any link. */
function startRows() {
  document.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...document.querySelectorAll('.connections tbody th a')];
    const at = links.indexOf(event.target);
    if (!step || links.length === 0 || (at < 0 && !event.target.matches('form[data-filter="list"] input[type="search"]'))) return;
    event.preventDefault();
    if (at + step < 0) document.querySelector('[data-key="/"]')?.focus();
    else links[Math.min(at + step, links.length - 1)].focus();
  });
}

function startCopying() {
  const show = () => document.querySelectorAll('[data-copy]').forEach((el) => { el.hidden = !navigator.clipboard; });
  show();
  document.addEventListener('sl:adopted', show);
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent);
    say('Copied');
  });
}

/** On a narrow screen the navigation scrolls: where one is should be seen. */
function showHere() {
  const here = document.querySelector('.top nav [aria-current]');
  if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 24;
}

showHere();
startTimes();
startActions();
startFilters();
startKeys();
startRows();
startCopying();
startLive();
