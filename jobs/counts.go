package jobs

import (
	"context"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/following"
)

// Consumers are those that follow the log in a server.
var Consumers = []Consumer{Counts, Metadata}

// Counts keeps how many entries occurred when: see package counts.
var Counts = Consumer{
	Name:  counts.ConsumerName,
	Needs: following.Needs{Parts: true},
	Consume: func(_ context.Context, tx *gorm.DB, entries []models.Entry) error {
		return counts.Add(tx, entries)
	},
}
