package exchange

import (
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

const cloudEventsVersion = "1.0"

// cloudEvent is a CloudEvent in its JSON format, around an entry in our own form.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
	Data            Entry  `json:"data"`
}

func cloudEventOf(l Log, e *models.Entry) any {
	subject := ""
	if e.EntityID != "" {
		subject = e.EntityType + "/" + e.EntityID
	}
	return cloudEvent{
		SpecVersion:     cloudEventsVersion,
		ID:              e.ID.String(),
		Source:          l.Address(),
		Type:            "io.github.auditlogs." + strings.Replace(e.Action, ":", ".", 1),
		Subject:         subject,
		Time:            e.OccurredAt.RFC3339(),
		DataContentType: "application/json",
		DataSchema:      l.Server + "/api/v1/openapi.yaml#/components/schemas/Entry",
		Data:            EntryOf(e),
	}
}
