package main

import (
	"bufio"
	"fmt"
	"html"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// writeSection puts markdown between the marks of a section in the report; a section that is not
// there yet goes to the end.
func writeSection(report, name, markdown string) error {
	content, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	begin, end := "<!-- bench "+name+" -->\n", "<!-- end of "+name+" -->\n"
	block := begin + strings.TrimSpace(markdown) + "\n" + end
	text := string(content)
	if before, rest, found := strings.Cut(text, begin); found {
		_, after, closed := strings.Cut(rest, end)
		if !closed {
			return fmt.Errorf("%s: the section %s has no end", report, name)
		}
		text = before + block + after
	} else {
		text = strings.TrimRight(text, "\n") + "\n\n" + block
	}
	return os.WriteFile(report, []byte(text), 0o644)
}

// beginFolded and endFolded put what is between them behind a line that opens it.
func beginFolded(report *strings.Builder, summary string) {
	fmt.Fprintf(report, "\n<details>\n<summary>%s</summary>\n\n", html.EscapeString(summary))
}

func endFolded(report *strings.Builder) { report.WriteString("\n</details>\n") }

// printer writes numbers as people read them: 1,234,567.
var printer = message.NewPrinter(language.English)

func number(n int) string { return printer.Sprintf("%d", n) }

// ms are milliseconds without the unit.
func ms(d time.Duration) string { return printer.Sprintf("%.2f", d.Seconds()*1000) }

func milliseconds(d time.Duration) string { return ms(d) + " ms" }

// machine says in a line where and when something was measured.
func machine() string {
	return fmt.Sprintf("Measured on %s, %d cores of %s, %s.", time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), runtime.Version())
}

// processor is the processor's name, where Linux says it.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
