package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
)

// A consumer that counts entries by action. Its counts are exact, whatever is stopped and wherever.
func ExampleConsumer() {
	counting := jobs.Consumer{
		Name: "counts by action",
		Consume: func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error {
			counts := map[string]int{}
			for _, e := range entries {
				counts[e.Action]++
			}
			for action, n := range counts {
				err := tx.Exec("INSERT INTO counts (action, n) VALUES (?, ?) ON CONFLICT (action) DO UPDATE SET n = counts.n + excluded.n", action, n).Error
				if err != nil {
					return err
				}
			}
			return nil
		},
	}

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	db, remove := exampleDatabase(ctx)
	defer remove()
	store, _ := db.Store(nil)
	db.Write.Exec("CREATE TABLE counts (action text PRIMARY KEY, n integer)")
	for _, a := range []action.Action{action.ServiceCreate, action.ServiceUpdate, action.ServiceUpdate} {
		_, _ = audit.Record(ctx, db.Write, audit.Event{Organization: "acme", Action: a, EntityID: "svc-1", Actor: audit.System("example")})
	}
	follower := jobs.NewFollower(store, slog.New(slog.DiscardHandler), []jobs.Consumer{counting}, jobs.FollowerConfig{})
	go follower.Run(ctx)
	var n int
	for n != 3 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		db.Read.Raw("SELECT COALESCE(SUM(n), 0) FROM counts").Scan(&n)
	}
	var counted []string
	db.Read.Raw("SELECT action || ' ' || n FROM counts ORDER BY action").Scan(&counted)
	fmt.Println(counted)
	// Output: [service:create 1 service:update 2]
}

// exampleDatabase is one with an organization.
func exampleDatabase(ctx context.Context) (db *database.DB, remove func()) {
	folder, err := os.MkdirTemp("", "example")
	if err == nil {
		db, err = database.Open(ctx, "sqlite:"+filepath.Join(folder, "log.db"), slog.New(slog.DiscardHandler))
	}
	if err == nil {
		err = migrate.Up(ctx, db.Write)
	}
	if err == nil {
		_, err = audit.EnsureOrganization(ctx, db.Write, audit.Organization{Slug: "acme"})
	}
	if err != nil {
		panic(err)
	}
	return db, func() {
		_ = db.Close()
		_ = os.RemoveAll(folder)
	}
}
