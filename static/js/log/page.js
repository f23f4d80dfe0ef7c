// The parts of the log page that its scripts share.

const log = {
  filters: () => document.getElementById('filters'),
  entries: () => document.getElementById('entries'),
};
