package models

// sqlite is what SQLite does its own way.
type sqlite struct{}

func (sqlite) name() string { return "sqlite" }
