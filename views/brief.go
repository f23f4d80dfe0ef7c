package views

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// briefChanges is how many changes of an entry stand under its line in a history.
	briefChanges = 3
	// briefText is how many bytes of a value they show.
	briefText = 40
	// MaxBriefMetadata is the most metadata, in bytes, that is read of each entry for that.
	MaxBriefMetadata = 16 << 10
)

// Brief is what an entry changed, in short: "replicas 8 → 3".
type Brief struct {
	Changes []BriefChange
	More    int  // how many changes besides
	TooLong bool // to be read for a list: the opened entry has it
}

// BriefChange is one of them. Lines, where the value is a long text, says how many changed.
type BriefChange struct{ Field, Before, After, Lines string }

// BriefOf is nil where metadata tells of no change.
func BriefOf(metadata string) *Brief {
	changes := MetadataOf(metadata).Changes
	if len(changes) == 0 {
		return nil
	}
	brief := &Brief{More: max(0, len(changes)-briefChanges)}
	for _, change := range changes[:len(changes)-brief.More] {
		short := BriefChange{Field: inShort(change.Field)}
		if change.Lines == nil {
			short.Before, short.After = shortValue(change.Before), shortValue(change.After)
		} else {
			short.Lines = countLines(change.Lines)
		}
		brief.Changes = append(brief.Changes, short)
	}
	return brief
}

func countLines(lines []Line) string {
	taken, put := 0, 0
	for _, line := range lines {
		switch line.Kind {
		case "old":
			taken++
		case "new":
			put++
		}
	}
	return fmt.Sprintf("−%s, +%s", Count(taken, "line", "lines"), Count(put, "line", "lines"))
}

// shortValue is a value on one line.
func shortValue(value Value) string {
	if value.Kind == "json" {
		return value.Text[:1] + "…" + value.Text[len(value.Text)-1:]
	}
	return inShort(value.Text)
}

// inShort is a text on one line, with its middle left out where it is long.
func inShort(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= briefText {
		return text
	}
	end := len(text) - briefText/2
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	return upTo(text, briefText/2) + "…" + text[end:]
}
