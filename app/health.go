package app

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// healthTimeout is how long the database may take to prove that it is there.
const healthTimeout = 3 * time.Second

// health responds with what an operator needs: 200, or 503 naming what fails. Why is
// in the log, not in the answer, which anybody may read. A replica that is not read from is named
// and no failure: the primary answers in its place. So is a proxy that is not trusted.
func (a *App) health(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), healthTimeout)
	defer cancel()
	failing := a.checkHealth(ctx)
	if len(failing) > 0 {
		return answerProbe(c, fiber.StatusServiceUnavailable, failing)
	}
	lines := []string{"ok"}
	if a.config.DB != nil {
		lines = append(lines, a.config.DB.ReadProblems()...)
	}
	if a.behindUnknownProxy.Load() {
		lines = append(lines, "trusted proxies: none, but requests bring X-Forwarded-For; "+unknownProxyHint)
	}
	return answerProbe(c, fiber.StatusOK, lines)
}

// ready responds with what a load balancer needs: 200 where this server can answer requests, if only by what it
// reads. Where no server can store anything, leaving them out would cure nothing, and take the log away from those
// who read it.
func (a *App) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), healthTimeout)
	defer cancel()
	if _, failing := a.lastCleanup(ctx); failing != "" {
		return answerProbe(c, fiber.StatusServiceUnavailable, []string{failing})
	}
	return answerProbe(c, fiber.StatusOK, []string{"ok"})
}

func answerProbe(c *fiber.Ctx, status int, lines []string) error {
	c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
	return c.Status(status).SendString(strings.Join(lines, "\n") + "\n")
}

// lastCleanup reads the state of the clean-up, or says what fails where that cannot be read.
func (a *App) lastCleanup(ctx context.Context) (job models.Job, failing string) {
	job, err := a.store.Job(ctx, models.RetentionJob)
	if err != nil {
		a.config.Log.Error("health: the database does not answer", "error", err)
		return job, "database: does not answer"
	}
	return job, ""
}

func (a *App) checkHealth(ctx context.Context) (failing []string) {
	job, problem := a.lastCleanup(ctx)
	if problem != "" {
		return []string{problem}
	}
	if err := a.storage.check(ctx); err != nil {
		failing = append(failing, "database: stores nothing: "+cmp.Or(models.Unwritable(err), "writing to it fails"))
	}
	switch {
	case job.Error != "":
		failing = append(failing, "last clean-up: failed at "+job.FinishedAt.Time().Format(time.RFC3339))
	case job.Overdue(a.store.Now()):
		failing = append(failing, "last clean-up: the next one is due since "+job.NextRunAt.Time().Format(time.RFC3339))
	}
	return failing
}
