/** @file The schema tab: how many rows there are is counted in the warehouse, so it comes after the page. */
import { page } from './api.js';
import { adopt } from './live.js';

let counting = false;

/** With rows=true in the address, pages fetched later have them, too. */
async function count() {
  if (counting || !document.querySelector('#schema[data-count]')) return;
  counting = true;
  const from = location.href;
  const address = new URL(from);
  address.searchParams.set('rows', 'true');
  try {
    const fresh = await page(address.href);
    if (location.href === from) {
      history.replaceState(null, '', address.href);
      adopt(fresh);
    }
  } catch {
    // It stays without: the numbers are a comfort, and the next change of the page asks again.
  }
  counting = false;
  // Somebody searched meanwhile: that was the answer to another question.
  if (location.href !== from && location.href !== address.href) count();
}

document.addEventListener('sl:adopted', count);
count();
