// What may be typed next in the search box: a list box that ↓ opens and typing keeps up, and that choosing closes.

const box = () => document.getElementById('q');
const completions = () => document.getElementById('completions');
const chosen = () => completions().querySelector('[aria-selected="true"]');

function complete() {
  clearTimeout(complete.timer);
  complete.timer = setTimeout(() => completions().dispatchEvent(new Event('complete')), 100);
}

function showCompletions(shown) {
  const list = completions();
  if (!list) return;
  if (!shown) clearTimeout(complete.timer);
  list.hidden = !shown || !list.children.length;
  choose(null);
  box().setAttribute('aria-expanded', String(!list.hidden));
}

function choose(option) {
  chosen()?.setAttribute('aria-selected', 'false');
  option?.setAttribute('aria-selected', 'true');
  option?.scrollIntoView({ block: 'nearest' });
  if (option) box().setAttribute('aria-activedescendant', option.id);
  else box().removeAttribute('aria-activedescendant');
}

function take({ dataset: { text, at } }) {
  const q = box();
  q.value = text;
  q.setSelectionRange(at, at);
  showCompletions(false); // until there are others
  q.dispatchEvent(new Event('input', { bubbles: true }));
}

document.addEventListener('htmx:config:request', (event) => {
  const { request, sourceElement } = event.detail.ctx;
  if (sourceElement?.id !== 'completions') return;
  const to = new URL(request.action, document.baseURI);
  to.searchParams.set('at', box().selectionStart);
  request.action = to.pathname + to.search;
});

document.addEventListener('htmx:after:swap', (event) => {
  if (event.detail.ctx.sourceElement?.id === 'completions') showCompletions(document.activeElement === box());
});

document.addEventListener('input', (event) => {
  if (event.target.id !== 'q') return;
  if (event.target.value.trim()) complete();
  else showCompletions(false);
});

document.addEventListener('focusin', (event) => {
  if (event.target.id !== 'q' || event.target.role) return;
  Object.assign(event.target, { role: 'combobox', ariaAutoComplete: 'list', ariaExpanded: 'false' });
  event.target.setAttribute('aria-controls', 'completions');
});
document.addEventListener('focusout', (event) => { if (event.target.id === 'q') showCompletions(false); });

document.addEventListener('pointerdown', (event) => {
  const option = event.target.closest?.('#completions [role="option"]');
  if (!option) return;
  event.preventDefault(); // the box keeps the focus
  take(option);
});

document.addEventListener('keydown', (event) => {
  if (event.target.id !== 'q' || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const list = completions();
  const options = [...list.children];
  const at = options.indexOf(chosen());
  switch (event.key) {
    case 'ArrowDown':
    case 'ArrowUp':
      event.preventDefault();
      if (list.hidden) complete();
      else choose(options.at((at + (event.key === 'ArrowDown' ? 1 : at < 0 ? 0 : -1)) % options.length));
      return;
    case 'Enter':
      if (!list.hidden && at >= 0) {
        event.preventDefault();
        take(options[at]);
      } else {
        showCompletions(false);
      }
      return;
    case 'Escape':
      if (list.hidden) return;
      event.preventDefault();
      showCompletions(false);
  }
}, true);
