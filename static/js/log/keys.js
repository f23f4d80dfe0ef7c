// Keys.

const keysOn = () => localStorage.getItem('keys') !== 'off';

function showKeys() {
  const dialog = document.getElementById('keys');
  if (!dialog || dialog.open) return;
  dialog.querySelector('[data-keys-on]').checked = keysOn();
  dialog.showModal();
}

document.addEventListener('click', (event) => {
  if (event.target.closest('[data-keys]')) showKeys();
});

document.addEventListener('change', (event) => {
  if (event.target.matches?.('[data-keys-on]')) localStorage.setItem('keys', event.target.checked ? 'on' : 'off');
});

function move(step) {
  const links = [...document.querySelectorAll('#entries .entry [aria-expanded]')];
  const here = document.activeElement?.closest?.('tbody[data-entry-id]')?.querySelector('[aria-expanded]');
  const at = links.indexOf(here);
  const next = at < 0 ? links[step > 0 ? 0 : links.length - 1] : links[at + step];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.closest('tr').scrollIntoView({ block: 'nearest' });
}

document.addEventListener('keydown', async (event) => {
  if (!log.entries() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const typing = target.closest('input, textarea, select, [contenteditable], dialog[open], details.menu[open]');
  if (typing) return;
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    if (!target.matches('#entries [aria-expanded]')) return;
    event.preventDefault();
    move(event.key === 'ArrowDown' ? 1 : -1);
    return;
  }
  if (!keysOn()) return;
  switch (event.key) {
    case '/':
      if (!log.filters()) return; // a resource's history has no search
      event.preventDefault();
      document.getElementById('q').focus();
      document.getElementById('q').select();
      break;
    case 'j':
      event.preventDefault();
      move(1);
      break;
    case 'k':
      event.preventDefault();
      move(-1);
      break;
    case 'c': {
      const link = target.closest('tbody[data-entry-id]')?.querySelector('[aria-expanded]');
      if (!link) return;
      event.preventDefault();
      say(await copy(link.href.split('?')[0]) ? 'Link copied' : 'The browser did not allow copying');
      break;
    }
    case '?':
      event.preventDefault();
      showKeys();
      break;
  }
});
