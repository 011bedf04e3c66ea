/**
 * @file Buttons and forms that call the API.
 *
 *   data-call="POST /v1/…"   what is called; on a <button>, or on a <form> whose fields become the JSON body
 *   data-body='{"…": …}'     body of a button
 *   data-confirm="…?"        asked before; data-confirm-name="x": to be typed before
 *   data-said="…"            told afterwards; without it, the message of the answer
 *   data-reset               a form is emptied afterwards
 *   data-then="/dashboard/…" where to go afterwards; ":id" in it is the answer's; "reload"; without it the live parts of the page are fetched again
 *
 * Fields of a form: a name like "config.schema" makes nested objects; data-type="integer|boolean|json" makes a value of that type; an empty
 * field is left out, with data-empty it is sent as null. After a call the element gets the event `sl:done` (detail: the answer) that
 * modules of a page may listen to, and preventDefault() of it keeps the page as it is.
 */
import { call } from './api.js';
import { refresh } from './live.js';

const SAID_MS = 6000;
let timer = null;

/** A line at the bottom for a moment, read out by screen readers. */
export function say(text, kind = 'good') {
  let el = document.getElementById('said');
  if (!el) {
    el = document.createElement('div');
    el.id = 'said';
    el.setAttribute('role', 'status');
    document.body.append(el);
  }
  el.dataset.kind = kind;
  el.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { el.textContent = ''; }, SAID_MS);
}

function element(tag, text, more = {}) {
  const el = document.createElement(tag);
  el.textContent = text;
  return Object.assign(el, more);
}

/** Asks in a dialog; with `name`, it has to be typed. @returns {Promise<boolean>} */
export function ask(question, name, label = 'Continue') {
  return new Promise((resolve) => {
    const dialog = document.createElement('dialog');
    const form = element('form', '', { method: 'dialog' });
    const yes = element('button', label, { value: 'yes', className: name ? 'danger' : 'primary' });
    const no = element('button', 'Cancel', { type: 'button' }); // no submit button: Enter means the other one
    no.addEventListener('click', () => dialog.close('no'));
    form.append(element('p', question));
    if (name) {
      const field = element('label', `Type ${name} to go on`);
      const input = document.createElement('input');
      input.autocomplete = 'off';
      input.spellcheck = false;
      yes.disabled = true;
      input.addEventListener('input', () => { yes.disabled = input.value !== name; });
      field.append(input);
      form.append(field);
    }
    const buttons = element('div', '', { className: 'buttons' });
    buttons.append(no, yes);
    form.append(buttons);
    dialog.append(form);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function valueOf(field) {
  if (field.type === 'checkbox') return field.checked;
  if (field.value === '' && 'empty' in field.dataset) return null;
  if (field.value === '') return undefined;
  switch (field.dataset.type) {
    case 'integer': return Number.parseInt(field.value, 10);
    case 'boolean': return field.value === 'true';
    case 'json': return JSON.parse(field.value);
    default: return field.value;
  }
}

/** The body a form stands for. @param {HTMLFormElement} form */
export function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === 'radio' && !field.checked)) continue;
    const value = valueOf(field);
    if (value === undefined) continue;
    const path = field.name.split('.');
    let at = body;
    path.slice(0, -1).forEach((part) => { at = at[part] ??= {}; });
    at[path.at(-1)] = value;
  }
  return body;
}

function after(el, answer) {
  const kept = !el.dispatchEvent(new CustomEvent('sl:done', { bubbles: true, cancelable: true, detail: answer }));
  const text = el.dataset.said ?? answer.message;
  if (el.dataset.then && !kept) {
    if (text) sessionStorage.setItem('said', text);
    if (el.dataset.then === 'reload') location.reload();
    else location.assign(el.dataset.then.replace(':id', encodeURIComponent(answer.data?.id)));
    return;
  }
  if (text) say(text);
  if ('reset' in el.dataset) el.reset();
  if (!kept) refresh();
}

/** @param {HTMLElement} el @param {object=} body */
async function run(el, body) {
  const { confirm, confirmName, confirmLabel } = el.dataset;
  if (el.hasAttribute('aria-busy')) return;
  if ((confirm || confirmName) && !(await ask(confirm ?? '', confirmName, confirmLabel))) return;
  const [method, path] = el.dataset.call.split(' ');
  const buttons = el.matches('form') ? el.querySelectorAll('button') : [el];
  // Not `disabled`: that would take the focus away from who works by keyboard.
  buttons.forEach((b) => { b.setAttribute('aria-disabled', 'true'); });
  el.setAttribute('aria-busy', 'true');
  try {
    after(el, await call(method, path, body));
  } catch (error) {
    say(error.message, 'bad');
  }
  el.removeAttribute('aria-busy');
  buttons.forEach((b) => { b.removeAttribute('aria-disabled'); });
}

export function startActions() {
  document.addEventListener('click', (event) => {
    const el = event.target.closest('button[data-call]');
    if (!el) return;
    event.preventDefault();
    run(el, el.dataset.body ? JSON.parse(el.dataset.body) : {});
  });
  document.addEventListener('submit', (event) => {
    const form = event.target.closest('form[data-call]');
    if (!form) return;
    event.preventDefault();
    try {
      run(form, bodyOf(form));
    } catch (error) {
      say(error.message, 'bad');
    }
  });
  const text = sessionStorage.getItem('said');
  if (text) {
    sessionStorage.removeItem('said');
    say(text);
  }
}
