package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

const (
	// timesAsked is how often a question is asked each way, in turn, or less often where that would take longer than
	// askedFor.
	timesAsked = 200
	askedFor   = 10 * time.Second
	// plainPatience is how long the plain way may take in all before it is asked no more.
	plainPatience = time.Second
	// comparedRows is the size of the log that a large one is compared with.
	comparedRows = 100_000
)

// The targets.
const (
	floorRatio, floorOr   = 2.0, 5 * time.Millisecond
	mostOnPostgres        = 50 * time.Millisecond
	growthRatio, growthOr = 1.5, 2 * time.Millisecond
	plainRatio            = 100.0
)

// logUnderTest is a filled database and the ways into it.
type logUnderTest struct {
	*database.DB
	url   string
	spec  benchdata.Spec
	store *entries.Log
	kept  *benchdata.Statements
}

func openLog(ctx context.Context, kept benchdata.Kept) (*logUnderTest, error) {
	db, err := database.Open(ctx, kept.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	l := &logUnderTest{DB: db, url: kept.URL, spec: kept.Spec}
	var store *models.Store
	if l.kept, err = benchdata.KeepStatements(db.Read); err == nil {
		store, err = db.Store(nil)
	}
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	l.store = entries.NewLog(store)
	return l, nil
}

// answered is what was measured of one question.
type answered struct {
	question             benchdata.Question
	rows                 int
	ours, floor, smaller times // smaller: ours in the smaller log
	plain                time.Duration
	statements           int
	touched              int // rows, on PostgreSQL
	buffers              int // on PostgreSQL
}

// measureQuestions asks every question of a large and of a small organization, on both databases.
func measureQuestions(ctx context.Context, b *bench) (string, error) {
	var report, tables strings.Builder
	fmt.Fprintf(&report, `## Questions

`+"`make bench SECTIONS=questions ROWS=%d`"+`: every question, asked %d times each way (or for %s) in turn in one process, of the organization with nine entries of ten and of one with a thousandth. **Ours** is what the pages and the API do, from the filter to the rows. **Floor** is the best SQL known for the question, prepared, through pgx or database/sql, which answers with the same rows. **Plain** is what most products ship: `+"`OFFSET`, `COUNT(*)` and `ILIKE`"+` on the entries, through GORM, until it has taken a second in all; of counts, `+"`COUNT(*)`"+` by the hour. For terms of the search language and for counts no better SQL is known than what we send, which is their floor; what ships plainly has no such terms. Warm: the first of each is not counted. %s

Wanted: p99 at most %g × that of the floor or %s; on PostgreSQL never over %s; the median at most %g × the one in a log of 100,000 entries, plus %s. What misses is in **bold** in the tables.

| | questions | p50, ours / floor | p50, ours / 100,000 entries | p50, plain / ours | greatest p99, ms | miss |
|---|--:|--:|--:|--:|--:|--:|
`, b.Rows, timesAsked, askedFor, machine(), floorRatio, floorOr, mostOnPostgres, growthRatio, growthOr)
	for _, dialect := range []struct {
		name string
		kept func(context.Context, int) (benchdata.Kept, error)
		rows int
	}{{"PostgreSQL", b.postgres, b.Rows}, {"SQLite", b.sqlite, b.SQLiteRows}} {
		var logs []*logUnderTest
		for _, rows := range []int{dialect.rows, min(comparedRows, dialect.rows)} {
			kept, err := dialect.kept(ctx, rows)
			if err != nil {
				return "", err
			}
			log, err := openLog(ctx, kept)
			if err != nil {
				return "", err
			}
			defer log.Close()
			logs = append(logs, log)
		}
		for _, slug := range []string{benchdata.Large, benchdata.Small(7)} {
			answers, err := askAll(ctx, logs[0], logs[1], slug)
			if err != nil {
				return "", err
			}
			name := fmt.Sprintf("%s, %s entries: the organization %q", dialect.name, number(dialect.rows), slug)
			writeRatios(&report, name, dialect.name == "PostgreSQL", answers)
			beginFolded(&tables, name)
			writeAnswers(&tables, dialect.name == "PostgreSQL", answers)
			endFolded(&tables)
		}
	}
	return report.String() + "\nRatios are medians over the questions.\n" + tables.String(), nil
}

// writeRatios writes a line of the summary.
func writeRatios(report *strings.Builder, name string, postgres bool, answers []answered) {
	var toFloor, growth, plain []float64
	var worst time.Duration
	missing := 0
	for _, a := range answers {
		ours := float64(a.ours.p50)
		toFloor = append(toFloor, ours/float64(a.floor.p50))
		growth = append(growth, ours/float64(a.smaller.p50))
		if a.plain > 0 {
			plain = append(plain, float64(a.plain)/ours)
		}
		worst = max(worst, a.ours.p99)
		if floor, most, grows := a.misses(postgres); floor || most || grows {
			missing++
		}
	}
	fmt.Fprintf(report, "| %s | %d | %.2f | %.2f | %.1f | %s | %d |\n", name, len(answers), median(toFloor), median(growth), median(plain), ms(worst), missing)
}

func askAll(ctx context.Context, log, smaller *logUnderTest, slug string) ([]answered, error) {
	org, err := models.OrganizationByRef(ctx, log.store.Reader(ctx), models.OrganizationRef{Slug: slug})
	if err != nil {
		return nil, err
	}
	smallerOrg, err := models.OrganizationByRef(ctx, smaller.store.Reader(ctx), models.OrganizationRef{Slug: slug})
	if err != nil {
		return nil, err
	}
	floors, err := newFloors(ctx, log, org)
	if err != nil {
		return nil, err
	}
	defer floors.close()
	var answers []answered
	inSmaller := smaller.spec.Questions(slug)
	for i, q := range log.spec.Questions(slug) {
		a := answered{question: q}
		fmt.Fprintf(os.Stderr, "\r\033[K%s: %s", slug, q.Name)
		ask := func(l *logUnderTest, q benchdata.Question, org models.Organization) func() error {
			return func() (err error) {
				a.rows, err = q.Ask(ctx, l.store, org)
				return err
			}
		}
		floor, err := floors.prepare(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("%s: floor: %w", q.Name, err)
		}
		if err := floors.same(ctx, q, floor); err != nil {
			return nil, fmt.Errorf("%s: %w", q.Name, err)
		}
		if a.smaller, a.floor, a.ours, err = inTurn(timesAsked, ask(smaller, inSmaller[i], smallerOrg), floor.run, ask(log, q, org)); err != nil {
			return nil, fmt.Errorf("%s: %w", q.Name, err)
		}
		if q.Query.Terms == nil {
			if a.plain, err = floors.plain(ctx, q); err != nil {
				return nil, fmt.Errorf("%s: plain: %w", q.Name, err)
			}
		}
		if err := a.explain(ctx, log, org); err != nil {
			return nil, fmt.Errorf("%s: %w", q.Name, err)
		}
		answers = append(answers, a)
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	return answers, nil
}

// explain finds out what answering touches.
func (a *answered) explain(ctx context.Context, log *logUnderTest, org models.Organization) error {
	log.kept.Take()
	if _, err := a.question.Ask(ctx, log.store, org); err != nil {
		return err
	}
	statements := log.kept.Take()
	a.statements = len(statements)
	if log.Read.Name() != "postgres" {
		return nil
	}
	for _, statement := range statements {
		plan, err := benchdata.ExplainPostgres(ctx, log.Read, statement)
		if err != nil {
			return err
		}
		a.touched += plan.Rows
		a.buffers += plan.Buffers
	}
	return nil
}

// misses says which targets it misses.
func (a answered) misses(postgres bool) (floor, most, growth bool) {
	return a.ours.p99 > max(time.Duration(floorRatio*float64(a.floor.p99)), floorOr),
		postgres && a.ours.p99 > mostOnPostgres,
		a.ours.p50 > time.Duration(growthRatio*float64(a.smaller.p50))+growthOr
}

func writeAnswers(report *strings.Builder, postgres bool, answers []answered) {
	fmt.Fprint(report, "| question | rows | ours p50 | p99 | floor p50 | p99 | 100,000 entries p50 | plain | plain / ours | statements |")
	if postgres {
		fmt.Fprint(report, " rows touched | buffers |")
	}
	fmt.Fprint(report, "\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	if postgres {
		fmt.Fprint(report, "--:|--:|")
	}
	fmt.Fprintln(report)
	for _, a := range answers {
		floor, most, growth := a.misses(postgres)
		plain, ratio := "", ""
		if a.plain > 0 {
			plain, ratio = ms(a.plain), fmt.Sprintf("%.1f", float64(a.plain)/float64(a.ours.p50))
		}
		fmt.Fprintf(report, "| %s | %d | %s | %s | %s | %s | %s | %s | %s | %d |", a.question.Name, a.rows,
			bold(growth, ms(a.ours.p50)), bold(floor || most, ms(a.ours.p99)), ms(a.floor.p50), ms(a.floor.p99), ms(a.smaller.p50),
			plain, ratio, a.statements)
		if postgres {
			fmt.Fprintf(report, " %s | %s |", number(a.touched), number(a.buffers))
		}
		fmt.Fprintln(report)
	}
	fmt.Fprintln(report, "\nTimes in milliseconds.")
}

// times are those of many runs.
type times struct{ p50, p99 time.Duration }

// inTurn runs three ways n times each, in turn, after once that does not count.
func inTurn(n int, a, b, c func() error) (ta, tb, tc times, err error) {
	ways := []func() error{a, b, c}
	took := make([][]time.Duration, len(ways))
	for round, until := 0, time.Now().Add(askedFor); round < n+3 && (round < 20 || time.Now().Before(until)); round++ {
		for i, way := range ways {
			began := time.Now()
			if err := way(); err != nil {
				return ta, tb, tc, err
			}
			if round >= 3 {
				took[i] = append(took[i], time.Since(began))
			}
		}
	}
	return timesOf(took[0]), timesOf(took[1]), timesOf(took[2]), nil
}

func timesOf(took []time.Duration) times {
	slices.Sort(took)
	return times{p50: took[len(took)/2], p99: took[len(took)*99/100]}
}

func bold(wrong bool, text string) string {
	if wrong {
		return "**" + text + "**"
	}
	return text
}
