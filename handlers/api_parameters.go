package handlers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// maxNameShown is how much of an unknown parameter's name is shown, in bytes.
const maxNameShown = 100

// onlyParameters refuses a query that has other parameters than those of the names: a program that misspells one
// would otherwise get an answer to another question.
func onlyParameters(c *fiber.Ctx, names ...string) error {
	for part := range strings.SplitSeq(string(c.Request().URI().QueryString()), "&") {
		if part == "" {
			continue
		}
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if slices.Contains(names, name) {
			continue
		}
		known := "none"
		if len(names) > 0 {
			known = strings.Join(names, ", ")
		}
		shown := strings.ToValidUTF8(name[:min(len(name), maxNameShown)], "�")
		return badParameter(shown, fault.UnknownField, "is not a parameter here; there are %s", known)
	}
	return nil
}
