// Live: entries are put where they belong as they are committed. It waits while nobody sees the page, and while an entry
// is open, and goes on from the place it has got to.

let live = false, added, stream, streamed = '', place = '', refusals = 0;

/** follow has the stream be the one that the page asks for now. */
function follow() {
  const box = document.querySelector('[data-live]');
  if (box) box.checked = live;
  else live = false;
  const open = document.querySelector('.entry-detail');
  const address = live && !open && !document.hidden ? box.dataset.live : '';
  if (address === streamed) return;
  if (live) tell(open ? 'Paused' : '');
  stream?.close();
  streamed = address;
  if (!address) return;
  stream = new EventSource(address + place);
  stream.onmessage = ({ data, lastEventId }) => {
    place = lastEventId;
    if (refusals) tell('');
    refusals = 0;
    if (data === 'reload') reload();
    else add(data);
  };
  // Otherwise it comes back by itself.
  stream.onerror = () => stream.readyState < 2 || refused(stream, address + place);
}

/** refused has a stream that was refused be asked for again, later each time, where that may help. */
async function refused(asked, address) {
  const answer = await fetch(address, { headers: { accept: 'text/event-stream' }, redirect: 'manual' }).catch(() => {});
  answer?.body?.cancel();
  if (asked !== stream || !streamed) return;
  if (answer && !answer.ok && answer.status < 429) {
    live = false;
    follow();
    return tell('Stopped');
  }
  const pause = Math.min(120, (answer?.headers.get('retry-after') || 5) * ++refusals);
  tell(`Busy, trying again in ${pause} s`);
  setTimeout(() => {
    if (asked !== stream || !streamed) return;
    streamed = '';
    follow();
  }, pause * 1000);
}

/** reload has the list be read anew. */
const reload = () => htmx.trigger('[data-live]', 'reload');

const tell = (text) => document.getElementById('new').replaceChildren(text);

/** add puts rows in their places, by the IDs, which are in the order of time. */
function add(html) {
  const table = document.createElement('table');
  table.innerHTML = html;
  const rows = [...document.querySelectorAll('[data-entry-id]')];
  let heading;
  for (const part of [...table.children]) {
    if (!part.id) {
      heading = part;
      continue;
    }
    const next = rows.find((row) => row.id <= part.id);
    // It is there, or on a later page.
    if (next ? next.id === part.id : document.querySelector('[rel=next]')) continue;
    const above = next?.previousElementSibling;
    if (rows.length > 500 || !above?.id && above?.textContent !== heading.textContent) {
      reload();
      break;
    }
    next.before(part);
    htmx.process(part);
    tell(`${++added} new ${added > 1 ? 'entries' : 'entry'}`);
  }
}

document.addEventListener('change', (event) => {
  if (!event.target.matches('[data-live]')) return;
  live = event.target.checked;
  added = refusals = 0;
  tell('');
  follow();
});
document.addEventListener('visibilitychange', follow);
