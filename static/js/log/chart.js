// The chart: dragging over bars asks for the time from the first to the last of them. A bar alone is a link.

let dragged = null;

document.addEventListener('pointerdown', (event) => {
  const chart = event.target.closest?.('.chart');
  dragged = chart && event.button === 0 ? { chart, from: event.clientX, bars: [] } : null;
});

document.addEventListener('pointermove', ({ clientX }) => {
  if (!dragged || (!dragged.bars.length && Math.abs(clientX - dragged.from) < 5)) return;
  const [left, right] = [dragged.from, clientX].sort((a, b) => a - b);
  dragged.bars = [...dragged.chart.querySelectorAll('a')].filter((bar) => {
    const place = bar.getBoundingClientRect();
    const within = place.right > left && place.left < right;
    bar.classList.toggle('within', within);
    return within;
  });
});

document.addEventListener('pointerup', () => {
  const bars = dragged?.bars ?? [];
  dragged = null;
  if (bars.length < 2) return;
  const [first, last] = [bars[0], bars.at(-1)].map((bar) => new URL(bar.getAttribute('href'), location));
  first.searchParams.set('to', last.searchParams.get('to'));
  location.assign(first);
});

// A link is not to be dragged away itself.
document.addEventListener('dragstart', (event) => { if (event.target.closest?.('.chart')) event.preventDefault(); });
