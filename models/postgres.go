package models

// postgres is what PostgreSQL does its own way.
type postgres struct{}

func (postgres) name() string { return "postgres" }
