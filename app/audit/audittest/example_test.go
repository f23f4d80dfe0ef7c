package audittest_test

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/audittest"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Code that records through audit.Recorder is tested without a database.
func ExampleRecorder() {
	deploy := func(ctx context.Context, recorder audit.Recorder) error {
		_, err := recorder.Record(ctx, audit.Event{
			Organization: "acme", Action: action.DeploymentCreate, EntityID: "dep-9", Actor: audit.System("nightly"),
			Metadata: map[string]any{"api_token": "s3cr3t"},
		})
		return err
	}
	var recorder audittest.Recorder
	if err := deploy(context.Background(), &recorder); err != nil {
		fmt.Println(err)
	}
	for _, event := range recorder.Events() {
		fmt.Printf("%s of %s by %s: %s\n", event.Action, event.EntityID, event.Actor.Name, event.Metadata)
	}
	// Output: deployment:create of dep-9 by system: {"api_token":"[masked]"}
}
