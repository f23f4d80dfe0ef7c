// What every page does with script: the reader's zone, the theme, menus, and copying.
// Everything listens on the document, so that it goes on working when htmx replaces parts of it.

const root = document.documentElement;

/** savePreferences keeps values in the session; it answers false when that failed. */
async function savePreferences(values) {
  try {
    const response = await fetch('/preferences', {
      method: 'POST',
      body: new URLSearchParams(values),
      headers: { 'HX-Request': 'true' }, // spares the redirect back to this page
    });
    return response.ok;
  } catch {
    return false;
  }
}

// The zone. The server writes times in the zone of the session, which is UTC until this has told
// it; then whoever shows times fetches them again. Each zone is tried once a tab.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && zone !== root.dataset.zone && sessionStorage.getItem('zone') !== zone) {
  sessionStorage.setItem('zone', zone);
  savePreferences({ tz: zone }).then((saved) => {
    if (saved && document.querySelector('main time')) location.reload();
  });
}

// The theme. It changes at once and is kept in the session; without script the form does it.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!event.submitter?.closest('.theme-switch')) return;
  event.preventDefault();
  const theme = event.submitter.value;
  root.dataset.theme = theme === 'system' ? '' : theme;
  document.querySelector('meta[name="color-scheme"]').content = root.dataset.theme || 'light dark';
  for (const button of form.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button === event.submitter));
  }
  savePreferences({ theme }).then((saved) => {
    if (!saved) say('The theme could not be saved. It stays until you leave this page.');
  });
});

// Menus: one at a time, closed by Escape, by a click elsewhere and by leaving with Tab.
const openMenus = () => document.querySelectorAll('details.menu[open]');

document.addEventListener('click', (event) => {
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// What is pressed takes the focus. A menu that closed at once would move it away from under the pointer, and its click
// would be lost.
let pressed = false;
document.addEventListener('pointerdown', () => { pressed = true; }, true);
for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => { pressed = false; }, true);

document.addEventListener('focusin', (event) => {
  if (pressed) return;
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.defaultPrevented) return;
  const menu = event.target.closest?.('details.menu[open]');
  if (!menu) return;
  event.preventDefault(); // so that a sheet around the menu stays
  menu.open = false;
  menu.querySelector('summary').focus();
});

// Copying: <button data-copy="text">, or data-copy-from="selector" within the nearest [data-copy-scope].
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy], [data-copy-from]');
  if (!button) return;
  const text = button.dataset.copy
    ?? button.closest('[data-copy-scope]')?.querySelector(button.dataset.copyFrom)?.textContent;
  if (text == null) return;
  button.closest('.ways')?.hidePopover();
  say(await copy(text) ? button.dataset.copied || 'Copied' : 'The browser did not allow copying');
});

/** copy puts text on the clipboard; where the page is not secure it falls back to the selection. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    document.body.append(area);
    const focused = document.activeElement;
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}

/** say shows a short message for two seconds, and reads it out. */
function say(message) {
  let toast = document.querySelector('.toast');
  if (!toast) {
    toast = document.createElement('p');
    toast.className = 'toast';
    toast.setAttribute('role', 'status');
    document.body.append(toast);
  }
  toast.hidden = false;
  toast.textContent = message;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { toast.hidden = true; }, 2000);
}

// A request for the page's own address need not say where it comes from as well: an address full of filters
// would be sent twice.
document.addEventListener('htmx:config:request', (event) => {
  const { request, sourceElement } = event.detail.ctx;
  const to = new URL(request.action, document.baseURI).pathname;
  if (to === location.pathname || unasked(sourceElement)) delete request.headers['HX-Current-URL'];
  // A tab that nobody sees does not ask how many entries are new, nor does one that shows them.
  if (sourceElement?.id === 'new' && (document.hidden || live)) event.preventDefault();
});

// What a page asks for by itself leads nobody away from it, such as to the sign-in page: the next click does.
document.addEventListener('htmx:after:request', (event) => {
  const { ctx } = event.detail;
  if (unasked(ctx.sourceElement) && ctx.hx.redirect) event.preventDefault();
});
