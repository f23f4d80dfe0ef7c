package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
)

// Config is what the operator decides about a server.
type Config struct {
	Addr           string        // host and port to listen on
	BaseURL        string        // the address people use; empty: http:// and Addr
	TrustedProxies []string      // addresses and ranges whose X-Forwarded-For is believed
	SecretKey      string        // encrypts stored secrets, see secrets.New; empty: they cannot be stored
	APIRateLimit   int           // requests a second an API key is allowed, and twice as many at once; 0: any number
	RetentionGrace time.Duration // how long a lowered retention can be undone before it is in force; 0: not at all
	AccessLogDays  int           // how long it is kept who read the log; 0: accesslog.DefaultRetentionDays
	Metrics        string        // host and port to answer Prometheus on; empty: none
	ReadDatabases  []string      // addresses of PostgreSQL's streaming replicas that the log is read from
	Demo           bool          // fill an empty database with a demo organization
	WithoutJobs    bool          // leave what works in the background to another server; for tests
	Log            *slog.Logger

	// DB is the database of the store, for the health and the metrics of the server; Run sets it. nil: it is taken for
	// healthy as long as it answers.
	DB *database.DB

	// Listing is what the log's page reads its entries from where that is not the database: rows in
	// memory, for benchmarks.
	Listing handlers.Listing

	// LivePace is how streams of entries go on where that is not as usual: in tests.
	LivePace *handlers.Pace
	// LiveBounds are how many may follow where that is not as usual: in tests.
	LiveBounds *live.Bounds
}

// maxRetentionGrace is the longest grace: that of a retention lowered from the longest there is.
const maxRetentionGrace = models.MaxRetentionDays * 24 * time.Hour

// validate completes the configuration, or says in one line what is wrong with it.
func (c *Config) validate() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("--addr %q is not HOST:PORT, such as 127.0.0.1:8080", c.Addr)
	}
	if c.Metrics != "" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return fmt.Errorf("--metrics %q is not HOST:PORT, such as 127.0.0.1:9464", c.Metrics)
		}
	}
	if c.Demo && !isLoopback(host) {
		return fmt.Errorf("--demo is for this machine only: its passwords are public, so --addr must be a loopback address such as 127.0.0.1:8080, not %s", c.Addr)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.BaseURL == "" {
		c.BaseURL = "http://" + displayAddr(c.Addr)
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return fmt.Errorf("--base-url %q is not an address such as https://audit.example.com", c.BaseURL)
	}
	if base.Path != "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return fmt.Errorf("--base-url %q must end after the host: the app lives at the root of its host", c.BaseURL)
	}
	for _, proxy := range c.TrustedProxies {
		_, addrErr := netip.ParseAddr(proxy)
		_, prefixErr := netip.ParsePrefix(proxy)
		if addrErr != nil && prefixErr != nil {
			return fmt.Errorf("--trusted-proxies %q is neither an address nor a range such as 10.0.0.0/8", proxy)
		}
	}
	if c.SecretKey != "" {
		if _, err := secrets.New(c.SecretKey); err != nil {
			return fmt.Errorf("--secret-key %w", err)
		}
	}
	if c.APIRateLimit < 0 {
		return fmt.Errorf("--api-rate-limit %d is less than 0, which means no limit", c.APIRateLimit)
	}
	if c.RetentionGrace < 0 || c.RetentionGrace > maxRetentionGrace {
		return fmt.Errorf("--retention-grace %s must be 0 to %s", c.RetentionGrace, maxRetentionGrace)
	}
	if c.AccessLogDays == 0 {
		c.AccessLogDays = accesslog.DefaultRetentionDays
	}
	if c.AccessLogDays < accesslog.MinRetentionDays {
		return fmt.Errorf("--access-log-retention %d is less than %d days", c.AccessLogDays, accesslog.MinRetentionDays)
	}
	if c.Log == nil {
		return errors.New("no log")
	}
	return nil
}

// secure reports whether people reach the app by HTTPS.
func (c *Config) secure() bool { return strings.HasPrefix(c.BaseURL, "https://") }

// isLoopback reports whether only this machine can connect. A name is looked up, and all its addresses
// must be loopback; the empty host means every interface.
func isLoopback(host string) bool {
	if host == "" {
		return false
	}
	addresses, err := net.LookupIP(host)
	if err != nil || len(addresses) == 0 {
		return false
	}
	for _, address := range addresses {
		if !address.IsLoopback() {
			return false
		}
	}
	return true
}

// displayAddr is an address a browser can open: a server on every interface answers on this
// machine's own, too.
func displayAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
