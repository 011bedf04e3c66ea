/** @file Talking to the server: the API of the same origin, by the session's cookie. */

const csrf = document.querySelector('meta[name="csrf"]')?.content ?? '';

/** What a refused request says. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function toLogin() {
  const here = location.pathname + location.search;
  location.assign('/dashboard/login?next=' + encodeURIComponent(here));
}

/**
 * One request; its envelope {code, message?, data?}. Throws Refused.
 * @param {string} method @param {string} path @param {object=} body
 */
export async function call(method, path, body) {
  const headers = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const res = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await res.json().catch(() => ({}));
  if (res.status === 401) toLogin();
  if (!res.ok) throw new Refused(res.status, answer.code, answer.message ?? `The server answered ${res.status}`);
  return answer;
}

/** This page as the server makes it now, or at another address: a document, of which nothing runs. */
export async function page(address = location.href) {
  const res = await fetch(address, { headers: { Accept: 'text/html' } });
  if (res.redirected && new URL(res.url).pathname === '/dashboard/login') toLogin();
  if (!res.ok) throw new Refused(res.status, '', `The server answered ${res.status}`);
  return new DOMParser().parseFromString(await res.text(), 'text/html');
}
