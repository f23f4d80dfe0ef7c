// The filters: what they ask for, and controls that show what the address says.

// The filters that may have several values.
const repeated = ['action', 'actor', 'outcome'];

// Requests of the filter form say only what is on, so the address does too.
document.addEventListener('htmx:config:request', (event) => {
  const { ctx } = event.detail;
  if (!(ctx.request.body instanceof FormData) || !ctx.sourceElement.closest?.('#filters')) return;
  const said = ctx.request.body;
  for (const name of new Set(said.keys())) {
    const values = [...new Set(said.getAll(name).map((value) => value.trim()).filter(Boolean))];
    said.delete(name);
    for (const value of [...repeated, 'column'].includes(name) ? values : values.slice(-1)) said.append(name, value);
  }
  if (!said.has('from') && !said.has('to')) said.delete('tz');
  if ([...said].length > 1) said.delete('view');
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

  for (const name of repeated) {
    const on = new Set(address.getAll(name));
    for (const box of filters.querySelectorAll(`input[type="checkbox"][name="${name}"]`)) {
      box.checked = on.has(box.value);
      on.delete(box.value);
    }
    for (const value of on) addOption(name, value);
    count(name, new Set(address.getAll(name)).size);
  }
  const names = [...repeated, 'entity_type', ...provenance(), 'from', 'to'];
  count('filters', names.reduce((sum, name) => sum + new Set(address.getAll(name).filter(Boolean)).size, 0));
  filters.querySelectorAll('details[data-options]').forEach(markGroups);
}

// A link counts from the click: whoever types before its answer is there goes on from where it
// leads. What the form carries along unseen is set too.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('.log a[hx-get]:not([aria-expanded])');
  const carried = document.getElementById('filter-state');
  if (!link || !carried || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { search } = new URL(link.getAttribute('href'), location); // the chart's links are of SVG
  readAddress(search);
  log.filters().querySelectorAll('input[type="hidden"]').forEach((input) => input.remove());
  const address = new URLSearchParams(search);
  for (const name of [...provenance(), 'from', 'to', 'tz', 'sort', 'dir', 'limit']) {
    const control = log.filters().querySelector(`[name="${name}"]`);
    const value = address.get(name) ?? '';
    if (control) control.value = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(value) ? value : '';
    if (!value || control?.value) continue;
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    carried.append(input);
  }
  for (const value of address.getAll('column')) carried.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'column', value }));
});

/** provenance lists the names of the filters by where an event was sent from. */
function provenance() {
  return log.filters().dataset.provenance.split(' ');
}

function count(name, n) {
  for (const badge of document.querySelectorAll(`[data-count="${name}"]`)) {
    badge.textContent = n;
    badge.hidden = n === 0;
  }
}

// A history's filter says in the address only what is on.
document.addEventListener('submit', (event) => {
  if (event.target.matches('.history-filter')) event.target.querySelectorAll('select').forEach((select) => { select.disabled = !select.value; });
});
addEventListener('pageshow', () => document.querySelectorAll('.history-filter select').forEach((select) => { select.disabled = false; }));
