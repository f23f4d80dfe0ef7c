package entries

// These set limits that the short logs of tests meet.

// SeekAtOnce has searches seek after a first look at one entry.
func (l *Log) SeekAtOnce() {
	l.effort = effort{firstLook: 1, worthwhile: 0, entities: 1000, gathered: 1000}
}

// ScanInSteps has searches never seek, and look through a few entries at a time.
func (l *Log) ScanInSteps() { l.effort = effort{firstLook: 3, worthwhile: 1 << 40} }

// BoundTo has a page begin so many runs and look through so many rows at most.
func (l *Log) BoundTo(runs, rows int) { l.bound = bound{runs: runs, rows: rows} }
