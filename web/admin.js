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
