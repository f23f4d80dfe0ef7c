// The log page: filters, rows that open, keys, and what to say when a request fails.
// htmx fetches; this keeps the controls in step with the address and the reader's place.

const log = {
  filters: () => document.getElementById('filters'),
  entries: () => document.getElementById('entries'),
  rowLinks: () => [...document.querySelectorAll('#entries .entry [aria-expanded]')],
};

/* ---- Filters ---------------------------------------------------------------------------- */

// Requests of the filter form say only what is on, so the address does too.
document.addEventListener('htmx:config:request', (event) => {
  const { ctx } = event.detail;
  if (!(ctx.request.body instanceof FormData) || !ctx.sourceElement.closest?.('#filters')) return;
  const said = ctx.request.body;
  for (const name of new Set(said.keys())) {
    const values = [...new Set(said.getAll(name).map((value) => value.trim()).filter(Boolean))];
    said.delete(name);
    for (const value of name === 'action' || name === 'actor' ? values : values.slice(-1)) said.append(name, value);
  }
  if (!said.has('from') && !said.has('to')) said.delete('tz');
  keepShort(event, said);
});

/** keepShort refuses a tick that would make the address longer than servers and proxies in between may take. */
function keepShort(event, said) {
  const filters = log.filters();
  filters.querySelectorAll('.options-limit').forEach((line) => line.remove());
  const length = `${location.pathname}?${new URLSearchParams(said)}`.length;
  if (length <= Number(filters.dataset.longest) || length <= location.pathname.length + location.search.length) return;
  event.preventDefault();
  readAddress();
  const text = 'That is more than an address can hold. Take some filters off first, or tick all actions of an entity at once.';
  const menu = filters.querySelector('details[data-options][open] .options');
  if (!menu) {
    say(text);
    return;
  }
  const line = document.createElement('p');
  line.className = 'options-limit';
  line.setAttribute('role', 'alert');
  line.textContent = text;
  menu.before(line);
}

// A time that is half typed is a mistake when it is applied, and keeps no other control from working.
document.addEventListener('change', (event) => {
  if (event.target.form?.id === 'filters') event.target.form.noValidate = true;
}, true);
document.addEventListener('change', (event) => {
  if (event.target.form?.id === 'filters') event.target.form.noValidate = false;
});

/** readAddress sets the controls to what the address says, after a link or another control changed it. */
function readAddress(query = location.search) {
  const filters = log.filters();
  if (!filters) return;
  const address = new URLSearchParams(query);
  const q = filters.querySelector('#q');
  if (document.activeElement !== q) q.value = address.get('q') ?? '';

  const type = filters.querySelector('[name="entity_type"]');
  const chosen = address.get('entity_type') ?? '';
  if (![...type.options].some((option) => (option.value || '') === chosen)) type.add(new Option(chosen, chosen));
  type.value = chosen;

  for (const name of ['action', 'actor']) {
    const on = new Set(address.getAll(name));
    for (const box of filters.querySelectorAll(`input[type="checkbox"][name="${name}"]`)) {
      box.checked = on.has(box.value);
      on.delete(box.value);
    }
    for (const value of on) addOption(name, value);
    count(name, new Set(address.getAll(name)).size);
  }
  const names = ['action', 'actor', 'entity_type', 'from', 'to'];
  count('filters', names.reduce((sum, name) => sum + new Set(address.getAll(name).filter(Boolean)).size, 0));
  filters.querySelectorAll('details[data-options]').forEach(markGroups);
}

// A link counts from the click: whoever types before its answer is there goes on from where it
// leads. What the form carries along unseen is set too.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('.log a[hx-get]:not([aria-expanded])');
  const carried = document.getElementById('filter-state');
  if (!link || !carried || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { search } = new URL(link.href);
  readAddress(search);
  log.filters().querySelectorAll('input[type="hidden"]').forEach((input) => input.remove());
  const address = new URLSearchParams(search);
  for (const name of ['from', 'to', 'tz', 'sort', 'dir', 'limit']) {
    const control = log.filters().querySelector(`[name="${name}"]`);
    const value = address.get(name) ?? '';
    if (control) control.value = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(value) ? value : '';
    if (!value || control?.value) continue;
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    carried.append(input);
  }
});

function count(name, n) {
  for (const badge of document.querySelectorAll(`[data-count="${name}"]`)) {
    badge.textContent = n;
    badge.hidden = n === 0;
  }
}

/** addOption ticks a value no list offers yet, such as the actor of "Only this user", as its chip names it. */
function addOption(name, value) {
  const menu = document.querySelector(`details[data-options="${name}"]`);
  const model = menu.querySelector(`input[name="${name}"]`)?.closest('li');
  if (!model) return;
  const chip = [...document.querySelectorAll('.chip')].find((c) => c.dataset.name === name && c.dataset.value === value);
  const option = model.cloneNode(true);
  option.removeAttribute('data-home');
  const box = option.querySelector('input');
  box.value = value;
  box.checked = true;
  box.disabled = false;
  option.querySelector('code + .muted')?.remove();
  const text = option.querySelector('.option-text, code');
  text.textContent = chip?.querySelector('.chip-value').textContent ?? visible(value);
  menu.querySelector('[data-selected]').append(option);
}

/** visible writes out what cannot be seen, as the server does. */
const visible = (text) => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu,
  (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);

/** selectedFirst puts what is ticked at the head of a menu's list, and the rest back where it belongs. */
function selectedFirst(menu) {
  const selected = menu.querySelector('[data-selected]');
  for (const option of [...selected.children]) {
    if (!option.querySelector('input').matches(':checked:enabled')) goHome(menu, option);
  }
  for (const box of menu.querySelectorAll('.options input.applies:checked:enabled')) {
    const option = box.closest('li');
    if (option.parentElement !== selected) selected.append(option);
  }
  menu.querySelector('[data-selected-heading]').hidden = selected.children.length === 0;
}

function goHome(menu, option) {
  const home = option.dataset.home && menu.querySelector(`[data-group="${option.dataset.home}"] ul`);
  if (!home) {
    const offered = menu.querySelector('[data-offered]');
    if (offered) offered.prepend(option);
    else option.remove();
    return;
  }
  const place = Number(option.dataset.place);
  home.insertBefore(option, [...home.children].find((other) => Number(other.dataset.place) > place) ?? null);
}

const membersOf = (menu, group) => [
  ...menu.querySelectorAll(`[data-group="${group}"] input.applies, [data-home="${group}"] input.applies`),
];

const isWhole = (box) => box.name === 'action' && box.value.endsWith(':*');
const wholeOf = (box) => `${box.value.split(':')[0]}:*`;

/** cover shows the actions of an entity as ticked, and not to be ticked, while all of them are. */
function cover(menu) {
  if (menu.dataset.options !== 'action') return;
  const boxes = [...menu.querySelectorAll('input.applies')];
  const whole = new Set(boxes.filter((box) => isWhole(box) && box.checked).map((box) => box.value));
  for (const box of boxes.filter((box) => !isWhole(box))) {
    const covered = whole.has(wholeOf(box));
    if (covered) box.checked = true;
    else if (box.disabled) box.checked = false;
    box.disabled = covered;
  }
}

// Before the form is read.
document.addEventListener('change', (event) => {
  const menu = event.target.matches?.('.applies') && event.target.closest('details[data-options]');
  if (menu) cover(menu);
}, true);

/** markGroups shows in each group's own box whether all, some or none of it is ticked. */
function markGroups(menu) {
  cover(menu);
  for (const box of menu.querySelectorAll('[data-ticks]')) {
    const members = membersOf(menu, box.dataset.ticks).filter((member) => !isWhole(member));
    const on = members.filter((member) => member.checked).length;
    box.checked = on > 0 && on === new Set(members).size;
    box.indeterminate = on > 0 && !box.checked;
  }
}

document.addEventListener('change', (event) => {
  const group = event.target.closest?.('[data-ticks]');
  if (group) {
    // All actions of an entity are one tick; where typing has narrowed the list, only what is in sight.
    const menu = group.closest('details');
    const members = membersOf(menu, group.dataset.ticks).filter((member) => !member.closest('li').hidden);
    const narrowed = menu.querySelector('[data-narrow]').value.trim() !== '';
    const whole = new Set(members.filter(isWhole).map((member) => member.value));
    const ticked = members.filter((member) => (narrowed ? !isWhole(member) : isWhole(member) || !whole.has(wholeOf(member))));
    for (const member of members) {
      if (!group.checked || !member.disabled) member.checked = group.checked && ticked.includes(member);
    }
    cover(menu);
    members.find((member) => !member.disabled)?.dispatchEvent(new Event('change', { bubbles: true })); // one request for all of them
    return;
  }
  const menu = event.target.matches?.('.applies') && event.target.closest('details[data-options]');
  if (menu) markGroups(menu);
});

// A menu opens whole, with the cursor in its search and what is ticked on top.
document.addEventListener('toggle', (event) => {
  const menu = event.target;
  if (!menu.matches?.('details[data-options]') || !menu.open) return;
  const find = menu.querySelector('.options-find input');
  if (find.value) {
    find.value = '';
    find.dispatchEvent(new Event('input', { bubbles: true }));
  }
  selectedFirst(menu);
  markGroups(menu);
  menu.querySelector('.options').scrollTop = 0;
  find.focus();
}, true);

document.addEventListener('input', (event) => {
  if (!event.target.matches('[data-narrow]')) return;
  const menu = event.target.closest('details');
  const words = event.target.value.trim().toLowerCase().split(/\s+/);
  let found = false;
  for (const option of menu.querySelectorAll('.options li')) {
    const text = option.querySelector('input').value;
    option.hidden = !words.every((word) => text.includes(word));
    found ||= !option.hidden;
  }
  for (const group of menu.querySelectorAll('[role="group"]')) {
    group.hidden = !group.querySelector('li:not([hidden])');
  }
  menu.querySelector('[data-none]').hidden = found;
});

document.addEventListener('submit', (event) => {
  if (event.target.id === 'find-actors') event.preventDefault(); // Enter in a menu's search
});

// Enter in a menu ticks the option that has the focus, or the only one that was found. It never
// takes a tick away.
document.addEventListener('keydown', (event) => {
  const box = event.target;
  const menu = box.closest?.('details[data-options][open]');
  if (event.key !== 'Enter' || event.isComposing || !menu || !box.matches('input')) return;
  event.preventDefault();
  if (box.matches('[type="checkbox"]')) tick(box);
  else if (box.name === 'text' && box.value !== (box.dataset.found ?? '')) box.dataset.enter = box.value; // once they are found
  else tickOnly(menu, box);
});

function tick(box) {
  if (!box.checked) box.click();
}

/** tickOnly ticks what was found by typing, where that is one option. */
function tickOnly(menu, find) {
  const found = menu.querySelectorAll(find.name === 'text'
    ? '[data-offered] input.applies' : '.options li:not([hidden]) input.applies:enabled');
  if (find.value.trim() && found.length === 1) tick(found[0]);
}

// People that were found replace those offered, not those ticked.
document.addEventListener('htmx:before:swap', (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceElement?.matches?.('[name="text"]')) selectedFirst(ctx.sourceElement.closest('details'));
});

document.addEventListener('keydown', (event) => {
  const menu = event.target.closest?.('details[data-options][open]');
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!menu || !step || event.target.matches('summary')) return;
  const stops = [...menu.querySelectorAll('.options-find input, .options li:not([hidden]) input:enabled')]
    .filter((stop) => stop.offsetParent !== null);
  const next = stops[stops.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
});

// A history's filter says in the address only what is on.
document.addEventListener('submit', (event) => {
  if (event.target.matches('.history-filter')) event.target.querySelectorAll('select').forEach((select) => { select.disabled = !select.value; });
});
addEventListener('pageshow', () => document.querySelectorAll('.history-filter select').forEach((select) => { select.disabled = false; }));

/* ---- Answers ---------------------------------------------------------------------------- */

document.addEventListener('htmx:after:swap', (event) => {
  const { ctx } = event.detail;
  const source = ctx.sourceElement;
  if (source?.matches?.('[name="text"]')) {
    // Those ticked stand above already.
    const menu = source.closest('details');
    const ticked = new Set([...menu.querySelectorAll('[data-selected] input')].map((box) => box.value));
    for (const box of menu.querySelectorAll('[data-offered] input')) {
      if (ticked.has(box.value)) box.closest('li').remove();
    }
    source.dataset.found = new URL(ctx.request.action, location).searchParams.get('text') ?? '';
    if (source.dataset.enter === source.value && source.dataset.found === source.value) tickOnly(menu, source);
    delete source.dataset.enter;
    return;
  }
  if (source?.closest?.('tbody[data-entry-id]')) {
    opened(source.closest('tbody'));
    return;
  }
  if (log.entries()) {
    readAddress();
    keepPlace(source);
    if (ctx.request.headers['HX-History-Restore-Request']) openAgain();
  }
});

/** keepPlace sees to it that the reader is somewhere sensible when what they used is gone. */
function keepPlace(source) {
  if (source?.closest?.('.pages, .between, .message') || source?.id === 'entries') {
    log.entries().focus({ preventScroll: true });
    if (log.entries().getBoundingClientRect().top < 0) log.entries().scrollIntoView({ block: 'start' });
    return;
  }
  if (document.activeElement === document.body) {
    (document.querySelector('.chip-remove') ?? document.getElementById('q'))?.focus({ preventScroll: true });
  }
}

// A request that fails leaves the old rows, and says so.
function failed(source, why) {
  const problem = document.getElementById('problem');
  if (!problem || !source?.closest?.('.log')) return;
  if (source.matches('a')) readAddress();
  const banner = document.createElement('div');
  banner.className = 'banner error';
  const text = document.createElement('div');
  text.textContent = `${why} The list below is from before.`;
  const again = document.createElement('button');
  again.type = 'button';
  again.className = 'button';
  again.textContent = 'Try again';
  again.addEventListener('click', () => {
    banner.remove();
    if (source.matches('a') && source.isConnected) source.click();
    else log.filters().requestSubmit();
  });
  banner.append(text, again);
  problem.replaceChildren(banner);
  banner.scrollIntoView({ block: 'nearest' });
}

document.addEventListener('htmx:response:error', (event) => {
  const { ctx } = event.detail;
  const { status } = ctx.response;
  if (status === 400) return; // it explains itself
  const why = {
    403: 'You do not have access to this.',
    404: 'This is no longer here: it may have expired.',
    429: 'Too many requests. Try again in a moment.',
    503: 'The server is busy. Try again in a moment.',
  }[status] ?? 'The server could not answer.';
  failed(ctx.sourceElement, why);
});

document.addEventListener('htmx:error', (event) => {
  const { ctx } = event.detail;
  if (ctx) failed(ctx.sourceElement, 'The server could not be reached.');
});

/* ---- Rows ------------------------------------------------------------------------------- */

// The history's entry of a page knows which of its rows are open, so that they are after Back too.
function keepOpen() {
  const open = [...document.querySelectorAll('#entries tbody:has(> .entry-detail)')].map((tbody) => tbody.dataset.entryId);
  history.replaceState({ ...history.state, htmx: true, open }, '');
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

/* ---- Keys ------------------------------------------------------------------------------- */

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
  const links = log.rowLinks();
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
      say(await copy(link.href) ? 'Link copied' : 'The browser did not allow copying');
      break;
    }
    case '?':
      event.preventDefault();
      showKeys();
      break;
  }
});

/* ---- Printing --------------------------------------------------------------------------- */

addEventListener('beforeprint', () => {
  const moment = document.querySelector('[data-printed]');
  if (!moment) return;
  moment.textContent = new Intl.DateTimeFormat('en-US', {
    dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23', timeZone: root.dataset.zone || 'UTC',
  }).format(new Date());
});
