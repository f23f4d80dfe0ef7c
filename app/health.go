package app

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// healthTimeout is how long the database may take to prove that it is there.
const healthTimeout = 3 * time.Second

// health responds with what a load balancer and an operator need: 200, or 503 naming what fails. Why is
// in the log, not in the answer, which anybody may read. A replica that is not read from is named
// and no failure: the primary answers in its place, and leaving out the server would cure nothing. So is a proxy that is not trusted.
func (a *App) health(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), healthTimeout)
	defer cancel()
	failing := a.checkHealth(ctx)
	c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
	if len(failing) > 0 {
		return c.Status(fiber.StatusServiceUnavailable).SendString(strings.Join(failing, "\n") + "\n")
	}
	lines := []string{"ok"}
	if a.config.ReadProblems != nil {
		lines = append(lines, a.config.ReadProblems()...)
	}
	if a.behindUnknownProxy.Load() {
		lines = append(lines, "trusted proxies: none, but requests bring X-Forwarded-For; "+unknownProxyHint)
	}
	return c.SendString(strings.Join(lines, "\n") + "\n")
}

func (a *App) checkHealth(ctx context.Context) []string {
	job, err := a.store.Job(ctx, models.RetentionJob)
	switch {
	case err != nil:
		a.config.Log.Error("health: the database does not answer", "error", err)
		return []string{"database: does not answer"}
	case job.Error != "":
		return []string{"last clean-up: failed at " + job.FinishedAt.Time().Format(time.RFC3339)}
	case job.Overdue(a.store.Now()):
		return []string{"last clean-up: the next one is due since " + job.NextRunAt.Time().Format(time.RFC3339)}
	default:
		return nil
	}
}
