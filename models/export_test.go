package models

// Kept is the clean-up as its row has it.
func (c Cleanup) Kept() Cleanup {
	c.counting = false
	return c
}
