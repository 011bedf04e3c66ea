/**
 * @file The setup tab: sends the configuration, shows fields that depend on others, runs the connector's tests.
 *
 * Stored values are kept unless another is typed: null in secrets_list. The list is whole: what it does not name is gone.
 */
import { say } from './actions.js';
import { call, page } from './api.js';
import { adopt } from './live.js';

const root = document.querySelector('[data-setup]');
const path = `/v1/connections/${root.dataset.setup}`;
const form = () => document.getElementById('configuration-form');

function element(tag, text, more = {}) {
  const el = document.createElement(tag);
  el.textContent = text;
  return Object.assign(el, more);
}

// ---- fields ----

const fields = () => [...(form()?.querySelectorAll('[data-field]') ?? [])];
const inputOf = (field) => field.querySelector('[name]');
const removed = (field) => field.querySelector('[data-remove]')?.checked ?? false;

/** What a condition sees of a field, as the server would. */
function seen(name) {
  const field = fields().find((f) => f.dataset.field === name);
  if (!field) return '';
  const input = inputOf(field);
  if (input.type === 'checkbox') return input.checked ? 'true' : '';
  return input.value || ('stored' in input.dataset && !removed(field) ? '\u0000stored' : '');
}

function holds({ field, is, empty }) {
  const value = seen(field);
  if (empty !== undefined) return (value === '') === empty;
  return typeof is === 'boolean' ? (value.toLowerCase() === 'true') === is : value === is;
}

/** Fields whose conditions do not hold are neither seen nor required. */
function showFields() {
  fields().forEach((field) => {
    const shown = JSON.parse(field.dataset.when || '[]').every(holds);
    field.hidden = !shown;
    inputOf(field).disabled = !shown;
  });
}

/** A file as the form wants it. @param {File} file */
function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

/** Text, null (keep what is stored), or undefined (none). */
async function valueOf(field) {
  const input = inputOf(field);
  if (removed(field)) return undefined;
  if (input.type === 'checkbox') return input.checked ? 'true' : 'false';
  if (input.type === 'file') {
    const [file] = input.files;
    const most = Number(input.dataset.max);
    if (file && most > 0 && file.size > most) throw new Error(`${file.name} is larger than ${most} bytes`);
    if (file) return base64(file);
  } else if (input.value !== '') {
    return input.value;
  }
  return 'stored' in input.dataset ? null : undefined;
}

/** All there is: [key, value]. */
async function values() {
  const list = [];
  for (const field of fields()) {
    const value = await valueOf(field);
    if (value !== undefined) list.push([field.dataset.field, value]);
  }
  for (const row of form()?.querySelectorAll('[data-new-key]') ?? []) {
    const [key, value] = [...row.querySelectorAll('input')].map((input) => input.value);
    if (key !== '') list.push([key, value]);
  }
  return list;
}

// ---- problems ----

function clearProblems() {
  form().querySelectorAll('[data-problem]').forEach((el) => { el.textContent = ''; });
  form().querySelectorAll('[aria-invalid]').forEach((el) => el.removeAttribute('aria-invalid'));
}

/** "config.secrets_list: host (Host) is required …" goes to the field host. */
function showProblem(message) {
  const text = message.replace(/^config\.secrets_list: /, '');
  const field = fields().find((f) => text.startsWith(`${f.dataset.field} (`));
  if (!field) {
    say(message, 'bad');
    return;
  }
  field.querySelector('[data-problem]').textContent = text.slice(field.dataset.field.length + 1);
  inputOf(field).setAttribute('aria-invalid', 'true');
  inputOf(field).focus();
}

// ---- saving ----

async function save() {
  const button = form().querySelector('button.primary');
  const saving = document.getElementById('saving');
  clearProblems();
  button.disabled = true;
  saving.textContent = 'Saving, and running the setup tests…';
  try {
    const list = (await values()).map(([key, value]) => ({ key, value }));
    const { data } = await call('PATCH', path, { config: { secrets_list: list } });
    const fresh = await page();
    adopt(fresh);
    document.getElementById('configuration').replaceWith(document.importNode(fresh.getElementById('configuration'), true));
    showFields();
    const ready = data.status.setup_state === 'connected';
    say(ready ? 'Saved: the connection is ready' : 'Saved, but a setup test failed', ready ? 'good' : 'bad');
  } catch (error) {
    showProblem(error.message);
    saving.textContent = '';
    button.disabled = false;
  }
}

// ---- tests of the form ----

function paintResults(list, results) {
  list.replaceChildren(...results.map((result) => {
    const item = document.createElement('li');
    const word = result.passed ? 'Successful' : 'Failed';
    const status = element('span', word, { className: 'status' });
    status.dataset.status = word;
    item.append(status, ' ', element('b', result.label));
    if (result.message) item.append(element('p', result.message));
    return item;
  }));
}

async function runTests(button) {
  const list = document.getElementById('test-results');
  button.disabled = true;
  list.replaceChildren(element('li', 'Running…', { className: 'dim' }));
  try {
    // Kept values are those that are stored: they need not, and cannot, be sent.
    const given = (await values()).filter(([, value]) => value !== null);
    const body = form() ? { values: Object.fromEntries(given) } : {};
    paintResults(list, (await call('POST', `${path}/form/tests${button.dataset.test}`, body)).data.tests);
  } catch (error) {
    list.replaceChildren(element('li', error.message, { className: 'bad' }));
  }
  button.disabled = false;
}

// ---- keys ----

function addKey() {
  const row = element('div', '', { className: 'field pair' });
  row.dataset.newKey = '';
  ['Key', 'Value'].forEach((text, i) => {
    const label = element('label', text);
    label.append(Object.assign(document.createElement('input'), { type: i ? 'password' : 'text', autocomplete: i ? 'new-password' : 'off', spellcheck: false }));
    row.append(label);
  });
  document.getElementById('new-keys').append(row);
  row.querySelector('input').focus();
}

// ---- the schedule ----

function showSchedule() {
  const schedule = document.getElementById('schedule-form');
  if (!schedule) return;
  const { schedule_type: type, sync_frequency: every, daily_sync_time: at } = schedule.elements;
  const auto = type.value === 'auto';
  schedule.querySelector('[data-only-auto]').hidden = !auto;
  every.disabled = !auto;
  at.disabled = !auto || every.value !== '1440';
  schedule.querySelector('[data-only-daily]').hidden = at.disabled;
}

/** Another Python stops a running sync and runs the tests: it is sent only when it is another one. */
function namePython(python) {
  python.name = python.selectedOptions[0].defaultSelected ? '' : 'config.python_version';
}

root.addEventListener('submit', (event) => {
  if (event.target.id === 'run-form') namePython(event.target.querySelector('[data-python]'));
  if (event.target !== form()) return;
  event.preventDefault();
  save();
});
root.addEventListener('input', (event) => {
  if (form()?.contains(event.target)) showFields();
  else showSchedule();
});
root.addEventListener('click', (event) => {
  const test = event.target.closest('[data-test]');
  if (test) runTests(test);
  if (event.target.closest('[data-add-key]')) addKey();
});
showFields();
showSchedule();
