package handlers

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
)

const (
	// maxCountSteps is in how many requests a page counts by itself what the counts do not know.
	maxCountSteps = 10
	// maxBars is more than a chart has, and maxAhead how much later than now none of them begins.
	maxBars, maxAhead = 400, 366 * 24 * time.Hour
)

// countOn counts on for half the time that a request may take, in the organization's turn. Errors: intake.ErrBusy, with so.
func (h *Handlers) countOn(ctx context.Context, org models.Organization, q entries.Query, so counts.Answer) (counts.Answer, error) {
	giveBack, err := h.Counting.Take(ctx, org.ID)
	if err != nil {
		return so, err
	}
	defer giveBack()
	deadline, bounded := ctx.Deadline()
	for err == nil && !so.All && !(bounded && time.Until(deadline) < readTimeout/2) {
		so, err = counts.Further(ctx, h.Entries, org, q, so)
	}
	return so, err
}

// goesOn says how far was counted, and where the page goes on.
func (p *logCounts) goesOn(filter Filter, answer counts.Answer, exact bool, step int) {
	address := filter.At(nil).Address(p.Log + "/counts")
	with := func(parameters string) string {
		if strings.Contains(address, "?") {
			return address + "&" + parameters
		}
		return address + "?" + parameters
	}
	if answer.All {
		if !exact && answer.Count > counts.Most {
			p.Exactly = with("exact=1")
		}
		return
	}
	since := answer.Next.ID.Occurred()
	p.Since = since.In(p.Location).Format("Jan 2, 15:04")
	state := "at=" + answer.Next.ID.String()
	if p.Chart != nil {
		state += "&counted=" + p.Chart.counted()
		for p.Chart.Unknown < len(p.Chart.Bars) && !p.Chart.Bars[p.Chart.Unknown].To.After(since) {
			p.Chart.Unknown++
		}
		if p.Chart.Unit == "day" || p.Chart.Unit == "week" {
			p.Since = since.In(p.Location).Format("Jan 2")
		}
	}
	if p.Exactly = with(state + "&exact=1"); !exact && step < maxCountSteps {
		p.Further = with(state + "&step=" + strconv.Itoa(step+1))
	}
}

// counted is what the bars count, as an address carries it: of each the first quarter of an hour, how many succeeded, and
// how many failed.
func (c *chart) counted() string {
	var text []string
	for _, b := range c.Bars {
		if b.Count() > 0 {
			quarter := models.QuarterOf(models.MicrosOf(b.From))
			text = append(text, strconv.FormatInt(int64(quarter), 36)+"."+strconv.FormatInt(b.Succeeded, 36)+"."+strconv.FormatInt(b.Failed, 36))
		}
	}
	return strings.Join(text, "-")
}

// countSoFar is what has been counted already, as the address says it, and in how many steps.
func countSoFar(c *fiber.Ctx, now time.Time) (so counts.Answer, step int, err error) {
	at := c.Query("at")
	if at == "" {
		return so, 1, nil
	}
	id, err := models.ParseEntryID(at)
	if err != nil {
		return so, 0, badParameter("at", fault.Invalid, "is not the ID of an entry")
	}
	so.Next = &entries.Cursor{ID: id}
	if text := c.Query("counted"); text != "" {
		last := int64(models.QuarterOf(models.MicrosOf(now.Add(maxAhead))))
		parts := strings.Split(text, "-")
		if len(parts) > maxBars {
			return so, 0, badParameter("counted", fault.TooLarge, "has too many parts")
		}
		for _, part := range parts {
			var numbers []int64
			for number := range strings.SplitSeq(part, ".") {
				n, err := strconv.ParseInt(number, 36, 48)
				if err != nil || n < 0 {
					break
				}
				numbers = append(numbers, n)
			}
			if len(numbers) != 3 || numbers[0] > last {
				return so, 0, badParameter("counted", fault.Malformed, "is not what a page has counted")
			}
			so.Buckets = append(so.Buckets, counts.Bucket{Quarter: models.Quarter(numbers[0]), Succeeded: int(numbers[1]), Failed: int(numbers[2])})
			so.Count += int(numbers[1] + numbers[2])
		}
	}
	return so, c.QueryInt("step", maxCountSteps), nil
}
