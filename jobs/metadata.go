package jobs

import (
	"time"

	"github.com/auditlogs/auditlogs/models/following"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// Metadata keeps the index of what stands in metadata: see package metadata.
var Metadata = Consumer{
	Name:    metadata.ConsumerName,
	Needs:   following.Needs{Metadata: true},
	Prepare: metadata.Prepare,
	// Long runs are merged less often. What comes meanwhile is read as it is.
	BatchSize: 5000,
	Rest:      2 * time.Second,
}
