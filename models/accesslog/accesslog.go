// Package accesslog keeps who read an organization's log: a row for each minute, reader and view, with how often. What a
// reader reads beyond maxViews in a minute is a row for each kind, without addresses.
//
// Reading waits for none of it. What is noted is gathered in memory, written by Run a moment later, and lost only where
// the process dies before that, or the database takes nothing for so long that there is no room left.
package accesslog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/models"
)

// Kind is what somebody did with the log.
type Kind string

const (
	KindView      Kind = "view"       // the list, as its filters show it
	KindSearch    Kind = "search"     // the list, with words that were looked for
	KindEntry     Kind = "entry"      // one entry
	KindHistory   Kind = "history"    // of one resource, or of what one person did
	KindExport    Kind = "export"     // a file
	KindAccessLog Kind = "access_log" // this
)

// Kinds are all kinds, in the order in which they are offered.
var Kinds = []Kind{KindView, KindSearch, KindEntry, KindHistory, KindExport, KindAccessLog}

// Label is the kind in words.
func (k Kind) Label() string {
	text := strings.ReplaceAll(string(k), "_", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

const (
	// DefaultRetentionDays is how long rows are kept where the operator does not say, and MinRetentionDays the least.
	DefaultRetentionDays = 400
	MinRetentionDays     = 365

	// writtenAfter is how long what is noted waits for more of the same.
	writtenAfter = 2 * time.Second
	// writePatience is how long a statement may take, and lastPatience the last ones of a server that stops.
	writePatience, lastPatience = 10 * time.Second, 5 * time.Second
	// maxPending is how many rows wait in memory at most. What comes then is not noted.
	maxPending = 10_000
	// rowsAtOnce is how many rows a statement writes.
	rowsAtOnce = 500
	// maxViews is how many views of a reader and a minute a server tells apart.
	maxViews = 100
	// maxAddress is as much of an address as a row keeps, in bytes.
	maxAddress = 4096
)

// Reader is who reads: a person, or a program by its key.
type Reader struct {
	ID    string `gorm:"column:reader_id"` // of a user or an API key
	Name  string `gorm:"column:reader_name"`
	Email string `gorm:"column:reader_email"` // empty for a key
}

// ByKey reports whether a program reads.
func (r Reader) ByKey() bool { return r.Email == "" }

// View is what somebody read in a minute.
type View struct {
	OrgID   int64
	Minute  models.Micros // when it began
	Digest  []byte        // tells views of the same minute apart
	Reader  Reader        `gorm:"embedded"`
	Kind    Kind
	Address string // of the page that shows the same, without where in the list it begins; empty for further views
	IP      string // empty for further views
	Times   int64
}

func (View) TableName() string { return "audit_access_log" }

// Log is the access log of all organizations.
type Log struct {
	store *models.Store
	log   *slog.Logger

	mu      sync.Mutex
	pending map[pendingKey]View
	minute  models.Micros                // the latest in which somebody read
	told    map[minuteOf]map[digest]bool // the views of that minute that are told apart
	lost    int64                        // for want of room, since the last that was written
	writing chan struct{}                // holds what who writes has taken
}

// minuteOf is what a reader has read of an organization in a minute.
type minuteOf struct {
	orgID    int64
	readerID string
}

// digest is of what tells views of a minute apart.
type digest [16]byte

type pendingKey struct {
	orgID    int64
	minute   models.Micros
	readerID string
	kind     Kind
	address  string
	ip       string
}

func (v View) key() pendingKey {
	return pendingKey{v.OrgID, v.Minute, v.Reader.ID, v.Kind, v.Address, v.IP}
}

// New is the access log that store keeps.
func New(store *models.Store, log *slog.Logger) *Log {
	return &Log{store: store, log: log, pending: map[pendingKey]View{}, writing: make(chan struct{}, 1)}
}

// Note notes that somebody reads just now. It neither waits nor fails. A nil log notes nothing.
func (l *Log) Note(orgID int64, reader Reader, kind Kind, address, ip string) {
	l.note(orgID, reader, kind, address, ip, false)
}

// NoteBeside notes what is read beside a view, and is not counted again where that has just been noted.
func (l *Log) NoteBeside(orgID int64, reader Reader, kind Kind, address, ip string) {
	l.note(orgID, reader, kind, address, ip, true)
}

func (l *Log) note(orgID int64, reader Reader, kind Kind, address, ip string, beside bool) {
	if l == nil {
		return
	}
	if len(address) > maxAddress {
		address = strings.ToValidUTF8(address[:maxAddress], "")
	}
	minute := models.MicrosOf(l.store.Now().Truncate(time.Minute))
	view := View{OrgID: orgID, Minute: minute, Reader: reader, Kind: kind, Address: address, IP: ip, Times: 1}
	l.mu.Lock()
	defer l.mu.Unlock()
	before, tells := l.tell(view)
	if beside && before {
		return
	}
	if !tells {
		view.Address, view.IP = "", ""
	}
	l.add(view)
}

// tell reports whether a view has already been noted in its minute, and whether it is one of those of its reader and
// minute that are told apart. The caller holds mu.
func (l *Log) tell(view View) (before, tells bool) {
	if view.Minute != l.minute {
		l.minute, l.told = view.Minute, map[minuteOf]map[digest]bool{}
	}
	of := minuteOf{view.OrgID, view.Reader.ID}
	told := l.told[of]
	if told == nil {
		told = map[digest]bool{}
		l.told[of] = told
	}
	key := digestOf(view)
	before = told[key]
	if len(told) < maxViews {
		told[key] = true
	}
	return before, told[key]
}

// add counts a view among those that wait. The caller holds mu.
func (l *Log) add(view View) {
	key := view.key()
	waiting, counted := l.pending[key]
	switch {
	case counted:
		view.Times += waiting.Times
	case len(l.pending) >= maxPending:
		l.lost += view.Times
		return
	}
	l.pending[key] = view
}

// Run writes what is noted, until ctx ends, and what is left then. It returns only then.
func (l *Log) Run(ctx context.Context) {
	ticks := time.NewTicker(writtenAfter)
	defer ticks.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticks.C:
			l.writeLogged(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	l.writeLogged(last)
}

func (l *Log) writeLogged(ctx context.Context) {
	if err := l.Write(ctx); err != nil && ctx.Err() == nil {
		l.log.WarnContext(ctx, "the access log cannot be written; it is tried again", "error", err)
	}
}

// Write writes what has been noted so far. What it cannot write goes on waiting.
func (l *Log) Write(ctx context.Context) error {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	views, lost := make([]View, 0, len(l.pending)), l.lost
	for _, view := range l.pending {
		views = append(views, view)
	}
	clear(l.pending)
	l.lost = 0
	l.mu.Unlock()
	if lost > 0 {
		l.log.ErrorContext(ctx, "some reading is missing in the access log: too much of it waited to be written", "times", lost)
	}
	// Of each organization by itself: where one cannot be written, such as one whose node is down, the others are.
	ofOne := map[int64][]View{}
	for _, view := range views {
		ofOne[view.OrgID] = append(ofOne[view.OrgID], view)
	}
	var failed []error
	for _, views := range ofOne {
		for some := range slices.Chunk(views, rowsAtOnce) {
			if err := l.write(ctx, some); err != nil {
				failed = append(failed, err)
				l.mu.Lock()
				for _, view := range some {
					l.add(view)
				}
				l.mu.Unlock()
			}
		}
	}
	return errors.Join(failed...)
}

// write writes views of one organization.
func (l *Log) write(ctx context.Context, views []View) error {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	for i := range views {
		sum := digestOf(views[i])
		views[i].Digest = sum[:]
	}
	// In one order, so that servers which count the same do not wait for each other in a circle.
	slices.SortFunc(views, func(a, b View) int {
		return cmp.Or(cmp.Compare(a.Minute, b.Minute), bytes.Compare(a.Digest, b.Digest))
	})
	err := l.store.Writer(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "org_id"}, {Name: "minute"}, {Name: "digest"}},
		DoUpdates: clause.Assignments(map[string]any{"times": clause.Expr{SQL: "audit_access_log.times + excluded.times"}}),
	}).Create(&views).Error
	if err != nil {
		return fmt.Errorf("write the access log: %w", err)
	}
	return nil
}

// digestOf tells a view from the others of its minute.
func digestOf(v View) digest {
	sum := sha256.Sum256([]byte(strings.Join([]string{v.Reader.ID, string(v.Kind), v.IP, v.Address}, "\x00")))
	return digest(sum[:16])
}
