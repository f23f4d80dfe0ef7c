package handlers

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// actionJSON is an action in the API.
type actionJSON struct {
	Action   string `json:"action"`
	Group    string `json:"group"`
	Recorded bool   `json:"recorded"` // the log holds an entry of it
}

// ListActions serves every action that the log's page offers: the catalogue, what applications
// registered and what the log holds.
func (h *Handlers) ListActions(c *fiber.Ctx) error {
	if err := onlyParameters(c); err != nil {
		return err
	}
	kinds, registered, err := h.Entries.ActionMenu(contextOf(c), callerOf(c).org)
	if err != nil {
		return err
	}
	actions := []actionJSON{}
	for _, group := range actionMenuOf(nil, kinds, registered, callerOf(c).org.Hidden).Groups {
		name, _, _ := strings.Cut(group.Name, ownEntity)
		for _, option := range group.Options {
			if option.Whole {
				continue
			}
			actions = append(actions, actionJSON{Action: option.Action, Group: name, Recorded: !option.Unused})
		}
	}
	return sendJSON(c, fiber.StatusOK, fiber.MIMEApplicationJSON, map[string]any{"actions": actions})
}
