package handlers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
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
		reason := "is not a parameter here; there are none"
		if len(names) > 0 {
			reason = "is not a parameter here; there are " + strings.Join(names, ", ")
		}
		return &BadInput{Field: strings.ToValidUTF8(name[:min(len(name), maxNameShown)], "�"), Reason: reason}
	}
	return nil
}
