package audithttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/auditlogs/auditlogs/app/audit/audithttp"
	"github.com/auditlogs/auditlogs/app/audit/event"
)

func ExampleNew() {
	identify := audithttp.New(audithttp.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Actor: func(r *http.Request) event.Actor { // whom the service has signed in
			return event.Actor{ID: "u-7", Name: "Ada Lovelace"}
		},
	})
	handler := identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What is recorded with r.Context() says who did it, and from where:
		fmt.Println(event.ActorFrom(r.Context()).Name, "from", event.RequestFrom(r.Context()).IP)
	}))

	request := httptest.NewRequest(http.MethodDelete, "/services/svc-42", nil)
	request.RemoteAddr = "10.0.0.7:4711"
	request.Header.Set("X-Forwarded-For", "192.0.2.1")
	handler.ServeHTTP(httptest.NewRecorder(), request)
	// Output: Ada Lovelace from 192.0.2.1
}
