// What happens when an answer is there: the controls follow the address, the reader keeps their place,
// and a request that failed says so.

// What the page asks for by itself.
const unasked = (source) => source?.matches?.('[data-unasked]');

document.addEventListener('htmx:after:swap', (event) => {
  const { ctx } = event.detail;
  const source = ctx.sourceElement;
  follow();
  if (unasked(source)) return;
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
    tellNumbers(menu);
    return;
  }
  if (source?.closest?.('tbody[data-entry-id]')) {
    opened(source.closest('tbody'));
    return;
  }
  if (log.entries()) {
    readAddress();
    tellOpenMenus();
    if (source?.id === 'filters' && ctx.response.status === 200) enteredBecameFilters(ctx.request.action);
    keepPlace(source);
    if (ctx.request.headers['HX-History-Restore-Request']) openAgain();
  }
});

/** enteredBecameFilters leaves in the search box what is no filter of its own, unless somebody typed on meanwhile. */
function enteredBecameFilters(action) {
  const q = document.getElementById('q');
  const sent = new URL(action, location).searchParams.get('q') ?? '';
  if (q.value.trim() === sent) q.value = new URLSearchParams(location.search).get('q') ?? '';
}

/** keepPlace sees to it that the reader is somewhere sensible when what they used is gone. */
function keepPlace(source) {
  if (source?.closest?.('.pages, .between, .message, #new') || source?.id === 'entries') {
    log.entries().focus({ preventScroll: true });
    if (log.entries().getBoundingClientRect().top < 0) log.entries().scrollIntoView({ block: 'start' });
    return;
  }
  if (source?.matches?.('.columns-menu form')) {
    source.previousElementSibling.focus();
    return;
  }
  if (document.activeElement === document.body) {
    (document.querySelector('.chip-remove') ?? document.getElementById('q'))?.focus({ preventScroll: true });
  }
}

// A request that fails leaves the old rows, and says so.
function failed(source, why) {
  const problem = document.getElementById('problem');
  if (!problem || !source?.closest?.('.log') || unasked(source)) return;
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
