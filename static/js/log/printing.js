// Printing: a page on paper says when it was printed.

addEventListener('beforeprint', () => {
  const moment = document.querySelector('[data-printed]');
  if (!moment) return;
  moment.textContent = new Intl.DateTimeFormat('en-US', {
    dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23', timeZone: root.dataset.zone || 'UTC',
  }).format(new Date());
});
