package models

import (
	"time"

	"gorm.io/gorm"
)

// TransactionNow is the moment a change in tx happens, in UTC: by the clock of the store, or of the
// application, that opened tx.
func TransactionNow(tx *gorm.DB) time.Time { return tx.NowFunc().UTC() }
