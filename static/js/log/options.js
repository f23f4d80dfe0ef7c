// Menus of options to tick: Action and User.

/** addOption ticks a value no list offers yet, such as the actor of "Only this user", as its chip names it. */
function addOption(name, value) {
  const menu = document.querySelector(`details[data-options="${name}"]`);
  const model = menu.querySelector(`input[name="${name}"]`)?.closest('li');
  if (!model) return;
  const chip = [...document.querySelectorAll('.chip')].find((c) => c.dataset.name === name && c.dataset.value === value);
  const option = model.cloneNode(true);
  option.removeAttribute('data-home');
  option.querySelector('.option').dataset.number = '';
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
