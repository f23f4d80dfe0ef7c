package jobs

import (
	"context"
	"crypto/rand"
	"os"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// leader decides which of the servers on a database does the work.
type leader interface {
	// lead tries to become the leader, or goes on being it.
	lead(ctx context.Context) (bool, error)
	// stillLeads goes on being the leader, unless another server is by now.
	stillLeads(ctx context.Context) (bool, error)
	// release lets another server lead.
	release()
}

// newLeader is one that leads in a job for a time after each call.
func newLeader(store *models.Store, job string, lasting time.Duration) leader {
	if store.Dialect() != "postgres" {
		return soleLeader{}
	}
	host, _ := os.Hostname() // for whoever looks at the row
	return &leaseholder{store: store, job: job, name: host + " " + rand.Text(), lasting: lasting}
}

// soleLeader leads always: a SQLite file belongs to one server.
type soleLeader struct{}

func (soleLeader) lead(context.Context) (bool, error)       { return true, nil }
func (soleLeader) stillLeads(context.Context) (bool, error) { return true, nil }
func (soleLeader) release()                                 {}

// leaseholder leads while it has a lease. Of a server that dies it runs out.
type leaseholder struct {
	store   *models.Store
	job     string
	name    string
	lasting time.Duration
}

func (l *leaseholder) lead(ctx context.Context) (bool, error) {
	return l.store.TakeLease(ctx, l.job, l.name, l.lasting)
}

func (l *leaseholder) stillLeads(ctx context.Context) (bool, error) {
	return l.store.ExtendLease(ctx, l.job, l.name, l.lasting)
}

// release returns the lease also where the last answer was an error: the lease may have been taken.
func (l *leaseholder) release() {
	// The server may be stopping: its own contexts are over.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.store.ReturnLease(ctx, l.job, l.name)
}
