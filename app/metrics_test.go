package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/github"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// scraped is what Prometheus reads of a server.
type scraped map[string]*dto.MetricFamily

func scrape(t *testing.T, server *apptest.Server) (found scraped, text string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	server.App.Metrics().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text = recorder.Body.String()
	if recorder.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", recorder.Code, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return found, text
}

// value is that of the metric with those labels, names and values: of a histogram how many were observed. ok is
// false where there is none.
func (s scraped) value(name string, labels ...string) (value float64, ok bool) {
	for _, metric := range s[name].GetMetric() {
		having := map[string]string{}
		for _, pair := range metric.GetLabel() {
			having[pair.GetName()] = pair.GetValue()
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && having[labels[i]] == labels[i+1]
		}
		if matches {
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount()), true
		}
	}
	return 0, false
}

// count is value, and 0 where there is none.
func (s scraped) count(name string, labels ...string) float64 {
	value, _ := s.value(name, labels...)
	return value
}

func (s scraped) expect(t *testing.T, want float64, name string, labels ...string) {
	t.Helper()
	if value, ok := s.value(name, labels...); !ok || value != want {
		t.Errorf("%s %v is %v, %t; want %v", name, labels, value, ok, want)
	}
}

func TestMetrics(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		server := apptest.Start(t, db)
		org := server.Organization(t, "acme-rockets")
		key := server.Key(t, org, accounts.ScopeWrite)
		admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, org))
		program := server.Client(t)
		send := func(body string, status int) {
			t.Helper()
			program.Do(http.MethodPost, "/api/v1/events", strings.NewReader(body),
				"Authorization", "Bearer "+key, "Content-Type", "application/json").Expect(status)
		}
		const good = `{"action":"service:update","entity_id":"svc-secret","actor":{"id":"u-secret","name":"Ada"}}`
		send(good, http.StatusCreated)
		send("["+good+","+good+"]", http.StatusCreated)
		send(`{"action":"service:update","entity_id":"s"}`, http.StatusUnprocessableEntity)
		send(`{"action":"`, http.StatusBadRequest)
		once := strings.Replace(good, "{", `{"id":"once",`, 1)
		send(once, http.StatusCreated)
		send(once, http.StatusOK)
		admin.Get("/orgs/acme-rockets/settings/audit-logs").Expect(http.StatusOK)
		admin.Get("/orgs/acme-rockets/settings/audit-logs/nothing").Expect(http.StatusNotFound)
		program.Get("/no/such/page").Expect(http.StatusNotFound)

		found, text := scrape(t, server)
		found.expect(t, 4, "auditlogs_events_recorded_total", "way", "api")
		found.expect(t, 0, "auditlogs_events_recorded_total", "way", "github")
		found.expect(t, 1, "auditlogs_events_refused_total", "way", "api", "reason", "no_actor")
		found.expect(t, 4, "auditlogs_http_request_duration_seconds", "method", "POST", "route", "/api/v1/events", "status", "2xx")
		found.expect(t, 2, "auditlogs_http_request_duration_seconds", "method", "POST", "route", "/api/v1/events", "status", "4xx")
		found.expect(t, 1, "auditlogs_http_request_duration_seconds", "method", "GET", "route", "/orgs/:slug/settings/audit-logs", "status", "2xx")
		found.expect(t, 1, "auditlogs_http_request_duration_seconds", "method", "GET", "route", "/orgs/:slug/settings/audit-logs/:entry", "status", "4xx")
		found.expect(t, 1, "auditlogs_http_request_duration_seconds", "method", "GET", "route", "none", "status", "4xx")
		found.expect(t, 0, "auditlogs_http_requests_in_flight")
		for _, what := range []string{"forms", "events", "deliveries", "reading", "exports", "answers"} {
			found.expect(t, 0, "auditlogs_http_requests_waiting", "for", what)
		}
		found.expect(t, 1, "auditlogs_storing")
		found.expect(t, 0, "auditlogs_log_messages_total", "level", "error")
		if len(found["go_sql_wait_count_total"].GetMetric()) != len(db.Pools()) {
			t.Error("not every pool of connections is there")
		}

		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
		for name, family := range found {
			if strings.HasPrefix(name, "auditlogs_") && len(family.GetHelp()) < 15 {
				t.Errorf("%s says %q of itself", name, family.GetHelp())
			}
		}
		for _, secret := range []string{"acme", "ada@", "svc-secret", "u-secret", key, "write key"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%q is named", secret)
			}
		}
	})
}

// What strangers send is in no count of what was refused: nobody is to be woken by them.
func TestMetricsCountNoStrangers(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	acme := server.Organization(t, "acme")
	page := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme)).Post("/orgs/acme/settings/integrations/github").Expect(http.StatusOK)
	connection, secret := regexp.MustCompile(`ghc_[a-z2-7]{26}`).FindString(page.Body), page.Find("#webhook-secret").AttrOr("value", "")
	deliver := func(secret, body string, headers ...string) *apptest.Page {
		return server.Client(t).Do(http.MethodPost, "/webhooks/github/"+connection, strings.NewReader(body), append(headers,
			"Content-Type", "application/json", "X-GitHub-Event", "ping", "X-Hub-Signature-256", github.Sign([]byte(secret), []byte(body)))...)
	}
	deliver("a guess", "{}", "X-GitHub-Delivery", "d").Expect(http.StatusUnauthorized)
	deliver("a guess", strings.Repeat(" ", 26<<20)).Expect(http.StatusRequestEntityTooLarge)
	server.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader("{}"), "Authorization", "Bearer alk_guess").Expect(http.StatusUnauthorized)
	if found, _ := scrape(t, server); found["auditlogs_events_refused_total"] != nil {
		t.Errorf("refused: %v", found["auditlogs_events_refused_total"])
	}
	deliver(secret, "{}").Expect(http.StatusBadRequest) // without an ID
	found, _ := scrape(t, server)
	found.expect(t, 1, "auditlogs_events_refused_total", "way", "github", "reason", "bad_request")
}

// What the database says to the log is counted as well.
func TestMetricsCountAllLinesOfTheLog(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var log, console lineLog
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	file := "sqlite:" + databasetest.SQLiteFile(t)
	running.Go(func() {
		err := app.Run(ctx, app.Config{Addr: "127.0.0.1:0", Metrics: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))}, file, &console)
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	var address []string
	for deadline := time.Now().Add(patience); address == nil; time.Sleep(20 * time.Millisecond) {
		if address = regexp.MustCompile(`Metrics are at (\S+)`).FindStringSubmatch(console.String()); time.Now().After(deadline) {
			t.Fatalf("the server says %q", console.String())
		}
	}
	read := func() (scraped, error) {
		answer, err := http.Get(address[1])
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		return parser.TextToMetricFamilies(answer.Body)
	}
	if err := databasetest.Open(t, file).Write.Exec("DROP TABLE audit_jobs").Error; err != nil {
		t.Fatal(err)
	}
	for range 5 { // each asks for the table, which is two lines
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Count(log.String(), "level=ERROR")
	found, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if counted := found.count("auditlogs_log_messages_total", "level", "error"); int(counted) < lines || lines < 10 {
		t.Errorf("%v errors are counted of %d in the log:\n%s", counted, lines, log.String())
	}
}

// lineLog keeps what several goroutines write to it.
type lineLog struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *lineLog) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

func (l *lineLog) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// However many addresses are asked for and however many kinds of mistakes are sent, there are no more time series.
func TestMetricsAreBounded(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	org := server.Organization(t, "acme")
	admin, key := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, org)), server.Key(t, org, accounts.ScopeWrite)
	series := func(round int) (n int) {
		t.Helper()
		for i := range 5 {
			name := fmt.Sprintf("round-%d-%d", round, i)
			for _, path := range []string{"/", "/" + name, "/orgs/" + name, "/orgs/acme/settings/audit-logs/" + name, "/api/" + name,
				"/static/" + name, "/invitations/" + name, "/orgs/acme/settings/audit-logs?q=" + name} {
				admin.Get(path)
				admin.Do(http.MethodDelete, path, nil)
			}
			admin.Do(http.MethodPost, "/api/v1/events", strings.NewReader(`{"action":"`+name+`","`+name+`":1}`),
				"Authorization", "Bearer "+key, "Content-Type", "application/json")
		}
		found, _ := scrape(t, server)
		for _, name := range []string{"auditlogs_http_request_duration_seconds", "auditlogs_events_refused_total"} {
			n += len(found[name].GetMetric())
		}
		return n
	}
	if first, second := series(1), series(2); first != second || first == 0 {
		t.Errorf("there are %d time series, and %d after more requests", first, second)
	}
}

func TestMetricsOfTheCleanup(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		server := apptest.Start(t, db)
		found, _ := scrape(t, server)
		found.expect(t, 0, "auditlogs_retention_lag_seconds") // there is nothing to be kept or not
		org := server.Organization(t, "acme")
		server.Organization(t, "globex") // which no clean-up has come by
		now := models.MicrosOf(server.Clock.Now())
		save := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		job := models.Job{Name: models.RetentionJob, StartedAt: now, FinishedAt: now, NextRunAt: now + 300e6}
		save(server.Store.SaveJob(t.Context(), job))
		save(server.Store.SaveCleanup(t.Context(), models.Cleanup{OrgID: org.ID, StartedAt: now, FinishedAt: now, SucceededAt: now}))
		server.Clock.Advance(4 * time.Minute)
		found, _ = scrape(t, server)
		found.expect(t, 240, "auditlogs_retention_lag_seconds")
		found.expect(t, 0, "auditlogs_cleanup_overdue")
		found.expect(t, 0, "auditlogs_cleanup_failed")
		found.expect(t, float64(now)/1e6, "auditlogs_cleanup_last_end_timestamp_seconds")

		server.Clock.Advance(3 * time.Minute)
		job.Error = "The database did not delete all that has expired."
		save(server.Store.SaveJob(t.Context(), job))
		found, _ = scrape(t, server)
		found.expect(t, 420, "auditlogs_retention_lag_seconds")
		found.expect(t, 1, "auditlogs_cleanup_overdue")
		found.expect(t, 1, "auditlogs_cleanup_failed")

		save(db.Close())
		found, _ = scrape(t, server)
		found.expect(t, 0, "auditlogs_storing")
		if _, known := found.value("auditlogs_retention_lag_seconds"); known {
			t.Error("the lag is known without a database")
		}
		// What is logged meanwhile may be counted with the next scrape.
		if found, _ = scrape(t, server); found.count("auditlogs_log_messages_total", "level", "error") == 0 {
			t.Error("the error is not counted")
		}
	})
}

// metricName is a metric of this server's in a query or a document.
var metricName = regexp.MustCompile(`\b(?:auditlogs|go_sql|process|go)_[a-z0-9_]+\b`)

// everything is the names of all that a server with replicas and a clean-up says of itself.
func everything(t *testing.T) map[string]bool {
	t.Helper()
	server := apptest.Start(t, databasetest.SQLite(t))
	org := server.Organization(t, "acme")
	if err := server.Store.SaveJob(t.Context(), models.Job{Name: models.RetentionJob, FinishedAt: 1}); err != nil {
		t.Fatal(err)
	}
	server.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader("{}"),
		"Authorization", "Bearer "+server.Key(t, org, accounts.ScopeWrite), "Content-Type", "application/json").Expect(http.StatusUnprocessableEntity)
	found, _ := scrape(t, server)
	names := map[string]bool{}
	for name := range found {
		names[name] = true
	}
	for _, name := range []string{"read_from", "lag_seconds", "lag_bytes"} { // see replicated.testMetrics
		names["auditlogs_replica_"+name] = true
	}
	return names
}

func TestTheDashboardAsksForWhatThereIs(t *testing.T) {
	content, err := os.ReadFile("../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries []string
	var collect func(value any)
	collect = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, inner := range value {
				if query, ok := inner.(string); ok && (name == "expr" || name == "query" || name == "definition") {
					queries = append(queries, query)
				}
				collect(inner)
			}
		case []any:
			for _, inner := range value {
				collect(inner)
			}
		}
	}
	collect(dashboard)
	there, asked := everything(t), map[string]bool{}
	for _, query := range queries {
		for _, name := range metricName.FindAllString(query, -1) {
			name = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
			if asked[name] = true; !there[name] {
				t.Errorf("there is no %s, which %s asks for", name, query)
			}
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "auditlogs_") && !asked[name] {
			t.Errorf("nobody sees %s", name)
		}
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	content, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	there, documented := everything(t), map[string]bool{}
	for _, name := range metricName.FindAllString(string(content), -1) {
		name = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
		if documented[name] = true; !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if strings.HasPrefix(name, "auditlogs_") && !documented[name] {
			t.Errorf("%s is not documented", name)
		}
	}
}
