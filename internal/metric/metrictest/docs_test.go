package metrictest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The checklist for a new driver must not lead to files that are not there.
func TestTheChecklistNamesFilesThatExist(t *testing.T) {
	const root = "../../.."
	text, err := os.ReadFile(filepath.Join(root, "docs", "add-a-meter.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(text), -1) {
		path := m[1]
		if !strings.Contains(path, "/") || strings.ContainsAny(path, " ()") || strings.Contains(path, "NAME") {
			continue
		}
		named++
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(path))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if named < 15 {
		t.Errorf("%d files named; the check finds fewer than there are", named)
	}
}
