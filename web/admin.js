/** @file Users and keys, one's own account: a key that was just made is shown once; a new password is typed twice. */

function showMade(form, made) {
  const box = document.getElementById(form.dataset.made);
  const values = { ...made, line: box.dataset.line.replace('BASE64', made.base64) };
  box.querySelectorAll('[data-field]').forEach((el) => { el.textContent = values[el.dataset.field] ?? ''; });
  box.hidden = false;
  box.focus();
}

document.querySelectorAll('form[data-made]').forEach((form) => {
  form.addEventListener('sl:done', (event) => showMade(form, event.detail.data));
});

document.querySelectorAll('form[data-repeat]').forEach((form) => {
  const fields = [...form.querySelectorAll('[autocomplete="new-password"]')];
  form.addEventListener('input', () => {
    const same = fields.every((field) => field.value === fields[0].value);
    fields[1].setCustomValidity(same ? '' : 'The two are not the same');
  });
});

/** What tests of a destination came to. @param {{title: string, status: string, message: string, details: ?string}[]} tests */
function showTests(tests) {
  const box = document.getElementById('tests');
  box.replaceChildren(...tests.map((test) => {
    const good = test.status === 'PASSED';
    const row = document.createElement('div');
    row.className = good ? 'note' : 'note bad';
    [['b', test.title], ['span', good ? ' passed' : ` failed: ${test.message}`], ['p', test.details ?? '']].forEach(([tag, text]) => {
      const el = document.createElement(tag);
      el.textContent = text;
      if (text) row.append(el);
    });
    return row;
  }));
}

document.addEventListener('sl:done', (event) => {
  if ('tests' in event.target.dataset) showTests(event.detail.data.setup_tests ?? []);
});

/* Fields that are only asked for with some value of another: data-when="auth=key". */
function showWanted(form) {
  form.querySelectorAll('[data-when]:not([data-when=""])').forEach((part) => {
    const [name, value] = part.dataset.when.split('=');
    part.hidden = form.elements[`config.${name}`]?.value !== value;
    part.querySelectorAll('input, select, textarea').forEach((field) => { field.disabled = part.hidden; });
  });
}

document.querySelectorAll('form.fields').forEach((form) => {
  form.addEventListener('change', () => showWanted(form));
  showWanted(form);
});
/* What was just made is tested at once; the address forgets it. */
const auto = document.querySelector('[data-auto]');
if (auto) {
  history.replaceState(null, '', location.pathname);
  auto.click();
}
