package event

import (
	"encoding/json"
	"strings"
	"testing"
)

// typical is the metadata of an event of a usual application, in 500 bytes: nothing in it is masked.
const typical = `{"branch":"main","changed_fields":["memory_mb","replicas"],"changes":{"memory_mb":{"after":512,"before":256},` +
	`"replicas":{"after":5,"before":2}},"commit":"4f1c2aa9d0e84b0b8f9a6c6ef0e52b8d7a1c3e5f","environment":"production",` +
	`"image":"registry.example.com/checkout:2026.11.20-4f1c2aa","message":"Scale checkout before the sale on Friday (see OPS-1742)",` +
	`"pipeline_id":"7d1a2b9e-3f4c-4d5e-8f60-112233445566","region":"eu-central-1","service_name":"checkout","started_at":"2026-11-20T14:03:22Z"}`

func BenchmarkMasking(b *testing.B) {
	for _, bench := range []struct{ name, metadata string }{
		{"typical", typical},
		{"plain text", `{"text":"` + strings.Repeat("nothing of interest here, ", 19) + `"}`},
		{"a key", `{"db_password":"hunter2",` + typical[1:]},
		{"a form", strings.Replace(typical, "4f1c2aa9d0e84b0b8f9a6c6ef0e52b8d7a1c3e5f", "gh"+"p_0123456789012345678901234567890123456789", 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.metadata)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := own.Load().encodeMetadata(json.RawMessage(bench.metadata)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("only/"+bench.name, func(b *testing.B) {
			for b.Loop() {
				own.Load().isStorable(bench.metadata)
			}
		})
	}
}
