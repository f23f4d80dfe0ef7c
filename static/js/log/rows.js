// Rows that open.

// The history's entry of a page knows which of its rows are open, so that they are after Back too.
function keepOpen() {
  const open = [...document.querySelectorAll('#entries tbody:has(> .entry-detail)')].map((tbody) => tbody.dataset.entryId);
  history.replaceState({ ...history.state, htmx: true, open }, '');
  follow();
}

function openAgain() {
  for (const id of history.state?.open ?? []) {
    document.querySelector(`#entry-${id} [aria-expanded="false"]`)?.click();
  }
}

document.addEventListener('htmx:after:process', openAgain, { once: true }); // htmx answers to clicks from here on

function opened(tbody) {
  const details = tbody.querySelectorAll('.entry-detail');
  const link = tbody.querySelector('[aria-expanded]');
  if (!details.length) return;
  link.setAttribute('aria-expanded', 'true');
  if (details[0].id) link.setAttribute('aria-controls', details[0].id);
  keepOpen();
}

function close(tbody) {
  const link = tbody.querySelector('[aria-expanded]');
  const inside = tbody.querySelector('.entry-detail')?.contains(document.activeElement);
  tbody.querySelectorAll('.entry-detail').forEach((row) => row.remove());
  link.setAttribute('aria-expanded', 'false');
  link.removeAttribute('aria-controls');
  if (inside) link.focus({ preventScroll: true });
  keepOpen();
}

// Before htmx sees the click: a row that is open closes, and a click that asks for another tab is
// the browser's.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[hx-get]');
  if (!link || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey) {
    event.stopPropagation();
    return;
  }
  const tbody = link.matches('[aria-expanded]') && link.closest('tbody');
  if (tbody && tbody.querySelector('.entry-detail')) {
    event.preventDefault();
    event.stopPropagation();
    close(tbody);
  }
}, true);

// Anywhere on the row opens it too, unless something was clicked or text was selected.
document.addEventListener('click', (event) => {
  const row = event.target.closest?.('#entries .entry, #entries .entry-brief');
  if (!row || event.defaultPrevented || event.target.closest('a, button, input, label, summary')) return;
  const selection = getSelection();
  if (selection.type === 'Range' && selection.containsNode(row, true)) return;
  row.parentElement.querySelector('[aria-expanded]').click();
});
