package models

import (
	"maps"
	"time"

	"gorm.io/gorm"
)

// TransactionNow is the moment a change in tx happens, in UTC: by the real clock, or by the one that
// WithClock gave tx or what it was opened from. GORM's NowFunc does not count: it is the
// application's, for its own rows.
func TransactionNow(tx *gorm.DB) time.Time {
	if now, ok := tx.Plugins[clockName].(clock); ok {
		return now().UTC()
	}
	return time.Now().UTC()
}

// WithClock is db under another clock than the real one, and so are its sessions and transactions: for
// a Store, and for whoever makes up a past.
func WithClock(db *gorm.DB, now func() time.Time) *gorm.DB {
	// A session has a configuration of its own, which what comes of it inherits; the map of plugins in
	// it is still shared.
	session := Fresh(db)
	plugins := map[string]gorm.Plugin{}
	maps.Copy(plugins, session.Plugins)
	plugins[clockName] = clock(now)
	session.Plugins = plugins
	return session
}

const clockName = "auditlogs:clock"

// clock is a clock among the plugins of a *gorm.DB: what GORM hands on to all that comes of it.
type clock func() time.Time

func (clock) Name() string              { return clockName }
func (clock) Initialize(*gorm.DB) error { return nil }
