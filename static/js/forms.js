// Forms that save something. What was typed stays until the server has answered, whatever happens:
// a save that fails says so beside the form, and one that finds the session ended asks to sign in
// and goes on.

/** savingForm is the form that an element saves with, or null. */
function savingForm(element) {
  const form = element?.form ?? element?.closest?.('form');
  return form?.getAttribute('method') === 'post' ? form : null;
}

// One save at a time.
document.addEventListener('submit', (event) => {
  if (!savingForm(event.target)?.hasAttribute('aria-busy')) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// Forms that htmx does not send by themselves go the same way, as whole pages: the browser's own
// page of an error would take what was typed with it.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (event.defaultPrevented || !savingForm(form) || !window.htmx) return;
  event.preventDefault();
  htmx.ajax('POST', event.submitter?.getAttribute('formaction') ?? form.getAttribute('action'),
    { source: form, event, target: document.body, swap: 'innerHTML show:top' });
});

document.addEventListener('htmx:before:request', (event) => {
  const { ctx } = event.detail;
  if (ctx.request.method !== 'POST') return;
  document.querySelector('.form-failure')?.remove();
  savingForm(ctx.sourceElement)?.setAttribute('aria-busy', 'true');
});

document.addEventListener('htmx:finally:request', (event) => {
  savingForm(event.detail.ctx.sourceElement)?.removeAttribute('aria-busy');
});

// Before htmx does anything with an answer.
document.addEventListener('htmx:after:request', (event) => {
  const { ctx } = event.detail;
  const form = savingForm(ctx.sourceElement);
  if (!form) return;
  if (ctx.hx.redirect?.startsWith('/login?return=')) {
    event.preventDefault();
    signInAgain(form, ctx);
    return;
  }
  if (ctx.request.method !== 'POST' || ctx.response.status < 400) return;
  const failure = failureIn(ctx.text);
  if (!failure && ctx.response.status < 500) return; // a page that explains itself
  event.preventDefault();
  notSaved(form, `${failure ?? 'The server could not answer.'} Nothing was saved. What you typed is still here.`);
});

document.addEventListener('htmx:error', (event) => {
  const { ctx, error } = event.detail;
  const form = savingForm(ctx?.sourceElement);
  if (!form || ctx.request.method !== 'POST') return;
  notSaved(form, `${error === 'timeout' ? 'The server did not answer in time' : 'The server could not be reached'}, so this may not have been saved. What you typed is still here: try again in a moment.`);
});

/** failureIn is what a page that reports an error says, or undefined. */
function failureIn(text) {
  const failure = new DOMParser().parseFromString(text, 'text/html').querySelector('.failure');
  return failure && [...failure.querySelectorAll('p')].map((p) => p.textContent.trim()).join(' ');
}

/** notSaved says beside a form that it was not saved, and why. */
function notSaved(form, why) {
  document.querySelector('.form-failure')?.remove();
  const banner = document.createElement('div');
  banner.className = 'banner error form-failure';
  banner.setAttribute('role', 'alert');
  const text = document.createElement('div');
  text.textContent = why;
  banner.append(text);
  const row = form.closest('table, .side');
  if (!row) (form.querySelector('.card-body') ?? form).prepend(banner);
  else if (row.matches('table')) (row.closest('.card') ?? row).before(banner);
  else document.querySelector('main').prepend(banner);
  banner.scrollIntoView({ block: 'nearest' });
}

/** signInAgain asks for the password over the page, and then sends the form. */
async function signInAgain(form, ctx) {
  const submit = () => {
    if (ctx.request.method !== 'POST') return;
    if (ctx.sourceElement === form) form.requestSubmit(ctx.request.submitter);
    else ctx.sourceElement.click();
  };
  if (document.querySelector('dialog[open]')) return;
  const offline = () => notSaved(form, 'You have been signed out, and the server could not be reached. Nothing was saved. What you typed is still here.');
  const page = await fetch('/login').catch(() => null);
  if (!page) return offline();
  if (page.redirected) return submit(); // signed in meanwhile, in another tab

  const person = document.querySelector('.side-person .muted')?.textContent;
  const dialog = document.createElement('dialog');
  dialog.className = 'dialog';
  dialog.setAttribute('aria-labelledby', 'again-title');
  const head = document.createElement('h2');
  head.id = 'again-title';
  head.textContent = 'Sign in again';
  const why = document.createElement('p');
  why.className = 'muted';
  why.textContent = 'You have been signed out. What you typed is still here, and is saved once you have signed in.';
  dialog.append(head, why);
  const show = (text) => {
    const fields = new DOMParser().parseFromString(text, 'text/html').querySelector('form[action="/login"]');
    if (!fields) {
      why.textContent = failureIn(text) ?? 'The server could not answer. Try again in a moment.';
      return;
    }
    // The page may have fields of the same IDs.
    for (const name of ['id', 'for', 'aria-describedby']) {
      for (const part of fields.querySelectorAll(`[${name}]`)) {
        part.setAttribute(name, part.getAttribute(name).replace(/\S+/g, 'again-$&'));
      }
    }
    fields.email.value ||= person ?? '';
    dialog.replaceChildren(head, why, fields);
    dialog.querySelector('[aria-invalid]')?.focus();
  };
  show(await page.text());
  dialog.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { email } = event.target;
    const answer = await fetch('/login', {
      method: 'POST', body: new URLSearchParams(new FormData(event.target)), headers: { 'HX-Request': 'true' },
    }).catch(() => null);
    if (!answer) {
      why.textContent = 'The server could not be reached. Try again in a moment.';
    } else if (!answer.headers.has('HX-Redirect')) {
      show(await answer.text());
    } else {
      dialog.remove();
      if (person && email.value.trim().toLowerCase() !== person.toLowerCase()) location.reload(); // the page is another person's
      else submit();
    }
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    notSaved(form, 'You have been signed out, so nothing was saved. What you typed is still here: send the form again to sign in and save it.');
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector(person ? '[type="password"]' : '[autofocus]')?.focus();
}
