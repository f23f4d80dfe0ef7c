package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

func ExampleClient() {
	server := httptest.NewServer(http.HandlerFunc(acceptEvents)) // in place of https://audit.example.com
	defer server.Close()

	recorder, err := client.New(client.Config{
		URL: server.URL,
		Key: "alk_0123456789", // from Settings → API Keys
		// Spool: "/var/lib/my-service/audit" keeps events while the server is away
	})
	if err != nil {
		log.Fatal(err)
	}
	// From any number of goroutines:
	ctx := event.WithActor(context.Background(), event.Actor{ID: "u-7", Name: "Ada Lovelace"}) // as middleware does
	receipt, err := recorder.Record(ctx, event.Event{Action: action.ServiceDelete, EntityID: "svc-42"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored:", receipt.Stored)

	// Before the program ends:
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = recorder.Close(closing)
	if unsent := (*client.UnsentError)(nil); errors.As(err, &unsent) {
		log.Printf("%d events were not sent", unsent.Events)
	}
	// Output:
	// service:delete of svc-42 by Ada Lovelace
	// stored: true
}

// acceptEvents answers as the HTTP API does.
func acceptEvents(w http.ResponseWriter, r *http.Request) {
	var events []event.Event
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	receipts := make([]map[string]any, len(events))
	for i, e := range events {
		fmt.Println(e.Action, "of", e.EntityID, "by", e.Actor.Name)
		receipts[i] = map[string]any{"entry_id": "01936a5e-0000-7000-8000-000000000000", "stored": true}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"events": receipts})
}
