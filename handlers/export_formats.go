package handlers

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/models"
)

// exportFile is what a file says of all its entries.
type exportFile struct {
	exchange.Log
	zone *time.Location // the reader's
}

// exportFormat writes entries to a file.
type exportFormat struct {
	extension   string // of the file's name
	contentType string
	// begin writes what comes before the first entry. Errors of w are kept by w.
	begin func(w *bufio.Writer, f exportFile)
	// entry writes one entry.
	entry func(w *bufio.Writer, f exportFile, e models.Entry) error
}

// exportFormats are the formats by the name they have in addresses.
var exportFormats = func() map[string]exportFormat {
	ndjson := exportFormat{"ndjson", "application/x-ndjson; charset=utf-8", func(*bufio.Writer, exportFile) {}, entryAsNDJSON}
	formats := map[string]exportFormat{
		"csv":    {"csv", "text/csv; charset=utf-8; header=present", beginCSV, entryAsCSV},
		"ndjson": ndjson,
	}
	for _, form := range exchange.Forms {
		formats[form.Name] = exportFormat{form.Name + ".ndjson", ndjson.contentType, ndjson.begin, entryIn(form)}
	}
	return formats
}()

// entryIn writes an entry in a form in which programs exchange events, one JSON object on one line.
func entryIn(form exchange.Form) func(*bufio.Writer, exportFile, models.Entry) error {
	return func(w *bufio.Writer, f exportFile, e models.Entry) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(form.Of(f.Log, &e))
	}
}

// exportColumns are the columns of the CSV and the keys of the NDJSON, in order. A new one goes to
// the end: programs may count the columns of a CSV. audit.ParseExported reads them.
var exportColumns = []struct {
	name  string
	value func(exportFile, models.Entry) string
	json  bool // the value is JSON; empty for null
}{
	{name: "id", value: func(_ exportFile, e models.Entry) string { return e.ID.String() }},
	{name: "occurred_at", value: func(_ exportFile, e models.Entry) string { return e.OccurredAt.RFC3339() }},
	{name: "recorded_at", value: func(_ exportFile, e models.Entry) string { return e.RecordedAt.RFC3339() }},
	{name: "action", value: func(_ exportFile, e models.Entry) string { return e.Action }},
	{name: "entity_type", value: func(_ exportFile, e models.Entry) string { return e.EntityType }},
	{name: "entity_id", value: func(_ exportFile, e models.Entry) string { return e.EntityID }},
	{name: "entity_name", value: func(_ exportFile, e models.Entry) string { return e.EntityName }},
	{name: "actor_id", value: func(_ exportFile, e models.Entry) string { return e.ActorID }},
	{name: "actor_name", value: func(_ exportFile, e models.Entry) string { return e.ActorName }},
	{name: "actor_email", value: func(_ exportFile, e models.Entry) string { return e.ActorEmail }},
	{name: "source", value: func(_ exportFile, e models.Entry) string { return e.Source }},
	{name: "ip", value: func(_ exportFile, e models.Entry) string { return e.IP }},
	{name: "user_agent", value: func(_ exportFile, e models.Entry) string { return e.UserAgent }},
	{name: "request_id", value: func(_ exportFile, e models.Entry) string { return e.RequestID }},
	{name: "url", value: func(_ exportFile, e models.Entry) string { return e.URL }},
	{name: "metadata", value: func(_ exportFile, e models.Entry) string { return string(exchange.Metadata(&e)) }, json: true},
	{name: "api_key_id", value: func(_ exportFile, e models.Entry) string { return e.APIKeyID }},
	{name: "api_key_name", value: func(_ exportFile, e models.Entry) string { return e.APIKeyName }},
	{name: "organization", value: func(f exportFile, _ models.Entry) string { return f.Organization.Slug }},
	{name: "origin", value: func(_ exportFile, e models.Entry) string { return string(e.Origin) }},
	{name: "original", value: func(_ exportFile, e models.Entry) string { return e.Original }, json: true},
	{name: "outcome", value: func(_ exportFile, e models.Entry) string { return string(cmp.Or(e.Outcome, event.OutcomeSuccess)) }},
	{name: "reason", value: func(_ exportFile, e models.Entry) string { return e.Reason }},
	{name: "native_action", value: func(_ exportFile, e models.Entry) string { return e.NativeAction }},
	{name: "actor_type", value: func(_ exportFile, e models.Entry) string { return string(cmp.Or(e.Actor().Type, event.ActorUser)) }},
	{name: "on_behalf_of", value: func(_ exportFile, e models.Entry) string { return exportPart((*exchange.Principal)(e.OnBehalfOf)) }, json: true},
	{name: "related", value: func(_ exportFile, e models.Entry) string { return exportPart(exchange.Related(&e)) }, json: true},
	{name: "masked", value: func(_ exportFile, e models.Entry) string { return strconv.Itoa(e.Masked) }, json: true},
}

// exportPart is what stands in a table beside the entries as JSON, empty where there is nothing.
func exportPart(part any) string {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(part) // texts into memory cannot fail
	if text := strings.TrimSuffix(line.String(), "\n"); text != "null" {
		return text
	}
	return ""
}

// CSV by RFC 4180: a header, lines ended by CRLF, quotes where needed. encoding/csv is not used to
// write it, because with CRLF it changes line ends inside of values. It is for spreadsheets: the byte
// order mark tells them that it is UTF-8, and the last column has the time as its reader's clock shows it,
// in a form they take for a time.
func beginCSV(w *bufio.Writer, f exportFile) {
	w.WriteString("\ufeff")
	for _, column := range exportColumns {
		w.WriteString(column.name + ",")
	}
	writeCSV(w, f, models.Entry{}, "occurred_at ("+f.zone.String()+")")
	w.WriteString("\r\n")
}

func entryAsCSV(w *bufio.Writer, f exportFile, e models.Entry) error {
	for _, column := range exportColumns {
		writeCSV(w, f, e, column.value(f, e))
		w.WriteByte(',')
	}
	writeCSV(w, f, e, e.OccurredAt.Time().In(f.zone).Format(time.DateTime))
	_, err := w.WriteString("\r\n")
	return err
}

// formulaStarts are the characters of which a spreadsheet makes a formula, as OWASP lists them under "CSV
// Injection": those of full width are for spreadsheets in East Asia.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// writeCSV writes one value of an entry. One that a spreadsheet would run as a formula gets a leading apostrophe,
// which spreadsheets take for "text".
func writeCSV(w *bufio.Writer, f exportFile, e models.Entry, value string) {
	if strings.IndexAny(value, formulaStarts) == 0 {
		value = "'" + value
	}
	if len(value) > maxCell {
		value = cutCell(value, f.AddressOf(&e))
	}
	if !strings.ContainsAny(value, ",\"\r\n") && strings.TrimSpace(value) == value {
		w.WriteString(value)
		return
	}
	w.WriteByte('"')
	w.WriteString(strings.ReplaceAll(value, `"`, `""`))
	w.WriteByte('"')
}

// maxCell is how many characters a cell of a spreadsheet holds, as UTF-16 counts them. Excel moves what
// lies beyond to the next line, or leaves it out, and says nothing.
const maxCell = 32767

// cutCell is a value that a cell holds: where it is longer, its beginning, and where all of it is.
func cutCell(value, whole string) string {
	all := 0
	for _, r := range value {
		all += utf16.RuneLen(r)
	}
	if all <= maxCell {
		return value
	}
	mark := fmt.Sprintf("… [cut: it has %d characters, a cell holds %d; the whole is at %s]", all, maxCell, whole)
	room := maxCell - utf8.RuneCountInString(mark)
	for i, r := range value {
		if room -= utf16.RuneLen(r); room < 0 {
			return value[:i] + mark
		}
	}
	return value
}

// entryAsNDJSON writes one JSON object on one line.
func entryAsNDJSON(w *bufio.Writer, f exportFile, e models.Entry) error {
	for i, column := range exportColumns {
		w.WriteByte("{,"[min(i, 1)])
		w.WriteString(`"` + column.name + `":`)
		switch value := column.value(f, e); {
		case !column.json:
			w.Write(jsonString(value))
		case value == "":
			w.WriteString("null")
		default:
			w.WriteString(value)
		}
	}
	_, err := w.WriteString("}\n")
	return err
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

// needsEscape reports whether JSON, or its encoder, may write r otherwise than as it is.
func needsEscape(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
