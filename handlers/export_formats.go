package handlers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// exportFormat writes entries to a file.
type exportFormat struct {
	contentType string
	// begin writes what comes before the first entry.
	begin func(w *bufio.Writer)
	// entry writes one entry. Errors of w are kept by w.
	entry func(w *bufio.Writer, e models.Entry)
}

// exportFormats are the formats by the name they have in addresses, which is also the file name's
// extension.
var exportFormats = map[string]exportFormat{
	"csv":    {"text/csv; charset=utf-8; header=present", beginCSV, entryAsCSV},
	"ndjson": {"application/x-ndjson; charset=utf-8", func(*bufio.Writer) {}, entryAsNDJSON},
}

// exportTime is RFC 3339 in UTC, to the microsecond, always of the same length.
const exportTime = "2006-01-02T15:04:05.000000Z"

// exportColumns are the columns of the CSV and the keys of the NDJSON, in order. A new one goes to
// the end: programs may count the columns of a CSV.
var exportColumns = []struct {
	name  string
	value func(models.Entry) string
}{
	{"id", func(e models.Entry) string { return e.ID.String() }},
	{"occurred_at", func(e models.Entry) string { return e.OccurredAt.Time().Format(exportTime) }},
	{"recorded_at", func(e models.Entry) string { return e.RecordedAt.Time().Format(exportTime) }},
	{"action", func(e models.Entry) string { return e.Action }},
	{"entity_type", func(e models.Entry) string { return e.EntityType }},
	{"entity_id", func(e models.Entry) string { return e.EntityID }},
	{"entity_name", func(e models.Entry) string { return e.EntityName }},
	{"actor_id", func(e models.Entry) string { return e.ActorID }},
	{"actor_name", func(e models.Entry) string { return e.ActorName }},
	{"actor_email", func(e models.Entry) string { return e.ActorEmail }},
	{"source", func(e models.Entry) string { return e.Source }},
	{"ip", func(e models.Entry) string { return e.IP }},
	{"user_agent", func(e models.Entry) string { return e.UserAgent }},
	{"request_id", func(e models.Entry) string { return e.RequestID }},
	{"url", func(e models.Entry) string { return e.URL }},
	{metadataColumn, exportMetadata},
	{"api_key_id", func(e models.Entry) string { return e.APIKeyID }},
	{"api_key_name", func(e models.Entry) string { return e.APIKeyName }},
}

// metadataColumn is the only one whose value is JSON already.
const metadataColumn = "metadata"

// exportMetadata is an entry's metadata on one line, an object in any case; numbers keep their
// digits. Text that is not JSON, which no recording stores, becomes a JSON string.
func exportMetadata(e models.Entry) string {
	if strings.TrimSpace(e.Metadata) == "" {
		return "{}"
	}
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(e.Metadata)); err != nil {
		return string(jsonString(e.Metadata))
	}
	return line.String()
}

// CSV by RFC 4180: a header, lines ended by CRLF, quotes where needed. encoding/csv is not used to
// write it, because with CRLF it changes line ends inside of values.

func beginCSV(w *bufio.Writer) {
	for i, column := range exportColumns {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString(column.name)
	}
	w.WriteString("\r\n")
}

func entryAsCSV(w *bufio.Writer, e models.Entry) {
	for i, column := range exportColumns {
		if i > 0 {
			w.WriteByte(',')
		}
		writeCSV(w, column.value(e))
	}
	w.WriteString("\r\n")
}

// writeCSV writes one value. A spreadsheet would run one that begins with = + - @, tab or carriage
// return as a formula: such values get a leading apostrophe, which spreadsheets take for "text".
func writeCSV(w *bufio.Writer, value string) {
	if value != "" && strings.IndexByte("=+-@\t\r", value[0]) >= 0 {
		value = "'" + value
	}
	if !strings.ContainsAny(value, ",\"\r\n") && strings.TrimSpace(value) == value {
		w.WriteString(value)
		return
	}
	w.WriteByte('"')
	w.WriteString(strings.ReplaceAll(value, `"`, `""`))
	w.WriteByte('"')
}

// entryAsNDJSON writes one JSON object on one line.
func entryAsNDJSON(w *bufio.Writer, e models.Entry) {
	for i, column := range exportColumns {
		w.WriteByte("{,"[min(i, 1)])
		w.WriteString(`"` + column.name + `":`)
		if column.name == metadataColumn {
			w.WriteString(column.value(e))
		} else {
			w.Write(jsonString(column.value(e)))
		}
	}
	w.WriteString("}\n")
}

// jsonString encodes s, with <, > and & as they are.
func jsonString(s string) []byte {
	if strings.IndexFunc(s, needsEscape) < 0 { // most values, and many of them
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string into memory cannot fail
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// needsEscape says that JSON, or its encoder, may write r otherwise than as it is.
func needsEscape(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
