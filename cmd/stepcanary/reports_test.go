package main

import "testing"

// The report of an execution that somebody called .. was written beside the folder.
func TestAReportStaysInItsFolder(t *testing.T) {
	for name, tt := range map[string]struct{ html, facts string }{
		"checkout-20261121-0900": {"/tmp/out/checkout-20261121-0900.html", "/tmp/out/checkout-20261121-0900.json"},
		"v1.2":                   {"/tmp/out/v1.2.html", "/tmp/out/v1.2.json"},
		".":                      {"/tmp/out/..html", "/tmp/out/..json"},
		"..":                     {"/tmp/out/...html", "/tmp/out/...json"},
		"../x":                   {},
		"a/../../x":              {},
		"/etc/x":                 {},
		"a/":                     {},
	} {
		t.Run(name, func(t *testing.T) {
			html, facts, err := reportFiles("/tmp/out", name)
			if html != tt.html || facts != tt.facts || (err == nil) != (tt.html != "") {
				t.Errorf("reportFiles(%q) = %q, %q, %v; want %q, %q", name, html, facts, err, tt.html, tt.facts)
			}
		})
	}
}
