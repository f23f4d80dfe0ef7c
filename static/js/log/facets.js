// Beside each value of a menu stands how many entries it would show with the other filters.

async function tellNumbers(menu) {
  const of = menu.dataset.facet;
  const values = [...menu.querySelectorAll('.option > input, option')];
  const tell = (numbers) => values.forEach((value) => {
    const number = numbers[value.value];
    if (value.matches('input')) value.parentElement.dataset.number = number ?? '';
    else if (number && !value.selected) value.label = `${value.text} · ${number}`;
    else value.removeAttribute('label');
  });
  const others = new URLSearchParams(location.search);
  others.delete(of);
  const before = menu.asked;
  menu.asked = String(others);
  if (menu.asked !== before || menu.matches('select')) tell({});
  const asked = new URLSearchParams(location.search);
  asked.append('of', of);
  if (of === 'actor') values.forEach(({ value }) => asked.append('value', value));
  try {
    const answer = await fetch(`${log.filters().getAttribute('action')}/facets?${asked}`);
    const numbers = await answer.json();
    if (answer.ok && menu.asked === String(others)) tell(numbers);
  } catch { /* It does without. */ }
}

const tellOpenMenus = () => document.querySelectorAll('details[data-facet][open]').forEach(tellNumbers);

document.addEventListener('toggle', ({ target }) => { if (target.open && target.dataset.facet) tellNumbers(target); }, true);
for (const sign of ['pointerover', 'focusin', 'change']) {
  document.addEventListener(sign, ({ target }) => { if (target.matches?.('select[data-facet]')) tellNumbers(target); });
}
