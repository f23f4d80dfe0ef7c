package handlers

import (
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/views"
)

// maxFacetActors is of how many actors numbers are asked for at once.
const maxFacetActors = 100

// AuditLogFacets serves how many entries each value of a filter (`of`) would show beside the other filters of the address,
// as JSON. Of actors it is those given (`value`).
func (h *Handlers) AuditLogFacets(c *fiber.Ctx) error {
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	if err != nil {
		return err
	}
	of := counts.Facet(c.Query("of"))
	var actors []string
	switch of {
	case counts.FacetAction, counts.FacetOutcome, counts.FacetEntityType:
	case counts.FacetActor:
		for _, value := range c.Context().QueryArgs().PeekMulti("value") {
			if id := string(value); id != "" && isText(id) && len(id) <= maxActorBytes && len(actors) < maxFacetActors {
				actors = append(actors, id)
			}
		}
	default:
		return badParameter("of", fault.Invalid, "must be action, actor, outcome or entity_type")
	}
	h.noteCounting(c, filter)
	numbers, err := counts.Facets(contextOf(c), h.Entries, organizationOf(c), filter.Query(), of, actors)
	if err != nil {
		return err
	}
	texts := make(map[string]string, len(numbers))
	for value, number := range numbers {
		texts[value] = shortNumber(number)
	}
	return c.JSON(texts)
}

// shortNumber is a number as it stands beside others: exact up to as many as are counted one by one.
func shortNumber(n counts.Number) string {
	const thousand, million = 1_000, 1_000_000
	more, half := "", 1 // what is no more than so many is not rounded up to more
	if !n.All {
		more, half = "+", 0
	}
	switch {
	case n.Count <= counts.Most:
		return views.Number(n.Count) + more
	case n.Count < million-half*thousand/2:
		return fmt.Sprintf("%dk%s", (n.Count+half*thousand/2)/thousand, more)
	default:
		return fmt.Sprintf("%.1fM%s", float64((n.Count+half*million/20)/(million/10))/10, more)
	}
}
