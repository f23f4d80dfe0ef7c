package handlers

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// deniedEach is how many refusals of one person in one organization are recorded one by one in an
	// hour. Of what follows the 100th, 1,000th and so on is, with the number.
	deniedEach = 10
	// maxDenials is how many people's refusals are counted at most.
	maxDenials = 10_000
	// maxDeniedPath is as much of an address as an entry names, in bytes.
	maxDeniedPath = 200
)

// denials count refusals by person, organization and hour, in memory: each server counts for itself. The
// zero value is ready to use.
type denials struct {
	mu     sync.Mutex
	counts map[denialKey]denial
}

type denialKey struct {
	orgID  int64
	userID string
}

type denial struct {
	count int
	hour  time.Time
}

// note counts a refusal. It returns how many there were this hour, and whether to record this one.
func (d *denials) note(now time.Time, key denialKey) (count int, record bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	hour := now.Truncate(time.Hour)
	noted, counted := d.counts[key]
	if d.counts == nil {
		d.counts = map[denialKey]denial{}
	}
	if !counted {
		makeRoom(d.counts, maxDenials, func(other denial) bool { return other.hour != hour })
	}
	if noted.hour != hour {
		noted = denial{hour: hour}
	}
	noted.count++
	d.counts[key] = noted
	return noted.count, noted.count <= deniedEach || powerOfTen(noted.count)
}

func powerOfTen(n int) bool {
	for n > 1 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// deniedPath is an address as an entry can name it, whatever it holds: nobody gets round the record by
// asking for one that no ID could be.
func deniedPath(path string) string {
	if len(path) > maxDeniedPath {
		path = path[:maxDeniedPath] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f && r != '…' {
			return '?'
		}
		return r
	}, path)
}

// recordDenied records that the reader was refused what their role does not include. The answer is the
// same where that fails.
func (h *Handlers) recordDenied(c *fiber.Ctx, refusal error) {
	ctx, scope := contextOf(c), scopeOf(c)
	count, record := h.denied.note(h.Store.Now(), denialKey{scope.Organization.ID, scope.User.ID})
	if !record {
		return
	}
	facts := map[string]any{"method": c.Method(), "role": scope.Role, "count_this_hour": count}
	var hidden *models.HiddenError
	if errors.As(refusal, &hidden) {
		facts["hidden"] = hidden.What
	}
	err := h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		_, err := audit.Record(ctx, tx, audit.Event{
			Organization: scope.Organization.Slug,
			Action:       action.AccessDenied,
			EntityID:     deniedPath(c.Path()),
			Metadata:     facts,
		})
		return err
	})
	if err != nil {
		h.Log.ErrorContext(ctx, "record that somebody was refused", "error", err)
	}
}
