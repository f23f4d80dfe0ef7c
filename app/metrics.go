package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models/following"
)

// metrics are what a server counts, for Prometheus. No label names an organization, a person or anything else that
// somebody sent: each has a few values, which stand in the code.
type metrics struct {
	registry  *prometheus.Registry
	recorded  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	requests  *prometheus.HistogramVec
	answering prometheus.Gauge
}

// requestTimes are the bounds of the histogram's buckets, in seconds: from a page to the longest request there is.
var requestTimes = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auditlogs_events_recorded_total",
			Help: "Events of others that this server has stored, by the way they came in. What it records of itself, such as sign-ins, is not counted.",
		}, []string{"way"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auditlogs_events_refused_total",
			Help: "Reasons for which this server has not stored events of others, by the way they came in and the code of the reason. An event may have several. Requests without a valid key or signature are not counted.",
		}, []string{"way", "reason"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auditlogs_http_request_duration_seconds",
			Help:    "How long requests took until their answer was ready to be sent, by route and class of status. Of an export that is its beginning.",
			Buckets: requestTimes,
		}, []string{"method", "route", "status"}),
		answering: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "auditlogs_http_requests_in_flight",
			Help: "Requests that are being answered.",
		}),
	}
	m.registry.MustRegister(m.recorded, m.refused, m.requests, m.answering,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, way := range []handlers.Way{handlers.ByAPI, handlers.ByGitHub} {
		m.recorded.WithLabelValues(string(way)) // 0 rather than unknown
	}
	return m
}

// tally counts what becomes of events.
type tally struct {
	metrics *metrics
	storage *storage
}

func (t tally) Recorded(way handlers.Way, events int) {
	t.metrics.recorded.WithLabelValues(string(way)).Add(float64(events))
	t.storage.stored()
}

func (t tally) Refused(way handlers.Way, reason fault.Code) {
	t.metrics.refused.WithLabelValues(string(way), string(reason)).Inc()
}

// observe counts a request that has been answered.
func (m *metrics) observe(c *fiber.Ctx, took time.Duration) {
	status := strconv.Itoa(c.Response().StatusCode()/100) + "xx"
	m.requests.WithLabelValues(c.Route().Method, routeOf(c), status).Observe(took.Seconds())
}

// routeOf is the pattern of the route that answered. Where none did, it is that of the middleware which refused the
// request.
func routeOf(c *fiber.Ctx) string {
	route := c.Route().Path
	if route == "/" && c.Path() != "/" {
		return "none"
	}
	return route
}

// countingLog is a log that counts its warnings and errors.
type countingLog struct {
	slog.Handler
	lines *prometheus.CounterVec
}

// counting returns log as one that counts: itself where it is.
func counting(log *slog.Logger) (counted *slog.Logger, lines *prometheus.CounterVec) {
	if already, is := log.Handler().(countingLog); is {
		return log, already.lines
	}
	lines = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "auditlogs_log_messages_total",
		Help: "Warnings and errors in this server's log, by level. An answer with a status of 500 or more is an error.",
	}, []string{"level"})
	for _, level := range []string{"warn", "error"} {
		lines.WithLabelValues(level)
	}
	return slog.New(countingLog{log.Handler(), lines}), lines
}

func (l countingLog) Handle(ctx context.Context, record slog.Record) error {
	switch {
	case record.Level >= slog.LevelError:
		l.lines.WithLabelValues("error").Inc()
	case record.Level >= slog.LevelWarn:
		l.lines.WithLabelValues("warn").Inc()
	}
	return l.Handler.Handle(ctx, record)
}

func (l countingLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return countingLog{l.Handler.WithAttrs(attributes), l.lines}
}

func (l countingLog) WithGroup(name string) slog.Handler {
	return countingLog{l.Handler.WithGroup(name), l.lines}
}

// collector asks for what is known when it is asked for.
type collector struct{ app *App }

var (
	storing = prometheus.NewDesc("auditlogs_storing",
		"1 while entries can be stored, 0 while they cannot: the disk is full, the database is read-only, or it does not answer.", nil, nil)
	retentionLag = prometheus.NewDesc("auditlogs_retention_lag_seconds",
		"Seconds since the clean-up that is the longest ago, of all organizations, ended without an error. What has expired since then may still be in the database.", nil, nil)
	cleanupOverdue = prometheus.NewDesc("auditlogs_cleanup_overdue",
		"1 while no server has begun the clean-up that is due, or the one under way does not get on.", nil, nil)
	cleanupFailed = prometheus.NewDesc("auditlogs_cleanup_failed",
		"1 if the last clean-up failed. The server's log says why.", nil, nil)
	cleanupFinished = prometheus.NewDesc("auditlogs_cleanup_last_end_timestamp_seconds",
		"When the last clean-up ended, in seconds since 1970.", nil, nil)
	followerLag = prometheus.NewDesc("auditlogs_follower_lag_seconds",
		"How long ago the oldest entry that a consumer of the log has not read was recorded, 0 where there is none. The server's log says why one fails.",
		[]string{"consumer"}, nil)
	waiting = prometheus.NewDesc("auditlogs_http_requests_waiting",
		"Requests that wait, by what for: room for their body (forms, events, deliveries), their organization's turn (reading, exports), or others to read their answers (answers). Who waits for a connection to the database is in go_sql_wait_count_total.",
		[]string{"for"}, nil)
	streams = prometheus.NewDesc("auditlogs_live_streams",
		"Streams of entries by which people follow the log in their browsers.", nil, nil)
	replicaUsed = prometheus.NewDesc("auditlogs_replica_read_from",
		"1 while the log is read from the replica, by its place in --read-database.", []string{"replica"}, nil)
	replicaLate = prometheus.NewDesc("auditlogs_replica_lag_seconds",
		"How old what the replica shows is.", []string{"replica"}, nil)
	replicaBehind = prometheus.NewDesc("auditlogs_replica_lag_bytes",
		"How much of the primary's log of changes the replica has not replayed.", []string{"replica"}, nil)
)

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{storing, retentionLag, cleanupOverdue, cleanupFailed, cleanupFinished, followerLag, waiting, streams,
		replicaUsed, replicaLate, replicaBehind} {
		descs <- desc
	}
}

func (c collector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		found <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(waiting, float64(c.app.answers.Waiting()), "answers")
	for what, requests := range c.app.handlers.Waiting() {
		gauge(waiting, float64(requests), what)
	}
	gauge(streams, float64(c.app.handlers.Live.Watches()))
	if db := c.app.config.DB; db != nil {
		for _, replica := range db.Replicas() {
			number := strconv.Itoa(replica.Number)
			gauge(replicaUsed, oneIf(replica.ReadFrom), number)
			gauge(replicaLate, replica.Late.Seconds(), number)
			gauge(replicaBehind, float64(replica.Behind), number)
		}
	}
	job, failing := c.app.lastCleanup(ctx)
	if failing != "" {
		gauge(storing, 0)
		return
	}
	gauge(storing, oneIf(c.app.storage.check(ctx) == nil))
	gauge(cleanupOverdue, oneIf(job.Overdue(c.app.store.Now())))
	gauge(cleanupFailed, oneIf(job.Error != ""))
	if job.FinishedAt != 0 {
		gauge(cleanupFinished, float64(job.FinishedAt)/1e6)
	}
	lag, err := c.app.store.RetentionLag(ctx)
	if err != nil {
		c.app.config.Log.Error("metrics: how the clean-up is getting on", "error", err)
		return
	}
	gauge(retentionLag, lag.Seconds())
	source := following.New(c.app.store)
	for _, consumer := range jobs.Consumers {
		lag, err := source.Lag(ctx, consumer.Name)
		if err != nil {
			c.app.config.Log.Error("metrics: how far the log has been followed", "consumer", consumer.Name, "error", err)
			continue
		}
		gauge(followerLag, lag.Seconds(), consumer.Name)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Metrics answers GET /metrics in the text format of Prometheus. Whoever can ask is answered.
func (a *App) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(a.config.Log.Handler(), slog.LevelError),
		MaxRequestsInFlight: 4,
	}))
	return mux
}

// serveMetrics answers on listener until ctx ends.
func (a *App) serveMetrics(ctx context.Context, listener net.Listener) {
	server := &http.Server{
		Handler:        a.Metrics(),
		ReadTimeout:    5 * time.Second,
		WriteTimeout:   time.Minute,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(a.config.Log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); ctx.Err() == nil {
		a.config.Log.Error("metrics are not served any more", "error", err)
	}
}

// registerDatabase adds what is known of the database's connections.
func (a *App) registerDatabase() error {
	if err := a.metrics.registry.Register(collector{a}); err != nil || a.config.DB == nil {
		return err
	}
	for name, pool := range a.config.DB.Pools() {
		if err := a.metrics.registry.Register(collectors.NewDBStatsCollector(pool, name)); err != nil {
			return fmt.Errorf("metrics of the pool %s: %w", name, err)
		}
	}
	return nil
}
