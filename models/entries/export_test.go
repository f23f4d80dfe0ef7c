package entries

// SeekAtOnce has searches seek after having read one entry, wherever they may. For tests, whose logs are
// too short for a search to be sparse. few is how many entities may be compared one by one.
func (s *Log) SeekAtOnce(few int) {
	s.effort = searchEffort{probe: 1, look: 1, patience: 1, few: few, sparse: 1000, gathered: 1000}
}

// ScanInSteps has searches scan only, a few entries at a time.
func (s *Log) ScanInSteps() { s.effort = searchEffort{probe: 3, look: 2, patience: 7, sparse: 0} }

// BoundTo has a page begin so many runs and look through so many rows at most.
func (s *Log) BoundTo(runs, rows int) { s.bound = workBound{runs: runs, rows: rows} }
