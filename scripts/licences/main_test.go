package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mit = `MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy
...
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND`
	bsd2 = "Redistribution and use in source and\n   binary forms, with or without modification, are permitted"
	bsd3 = bsd2 + "\n * Neither the name ... may be used to endorse or\n // promote products derived from"
)

func TestALicenceIsToldByItsText(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
		err   string
	}{
		"MIT":                          {map[string]string{"LICENSE": mit}, "MIT", ""},
		"BSD of two clauses":           {map[string]string{"LICENSE.txt": bsd2}, "BSD-2-Clause", ""},
		"BSD of three":                 {map[string]string{"License.md": bsd3}, "BSD-3-Clause", ""},
		"Apache":                       {map[string]string{"LICENSE": "Apache License\n  Version 2.0, January 2004"}, "Apache-2.0", ""},
		"two texts in one file":        {map[string]string{"COPYING": mit + "\n\n" + bsd3}, "BSD-3-Clause MIT", ""},
		"two files, one of them not":   {map[string]string{"LICENSE": mit, "LICENSE.gpl": "GNU General Public License"}, "", "LICENSE.gpl is GPL, which is not allowed"},
		"the Mozilla licence":          {map[string]string{"LICENSE": "Mozilla Public License, version 2.0"}, "", "not allowed"},
		"the Lesser GPL":               {map[string]string{"LICENSE": "GNU Lesser General Public License, see the GNU General Public License"}, "", "is LGPL, which"},
		"an author's own words":        {map[string]string{"LICENSE": "Do as I would."}, "", "no licence that is known here"},
		"no file":                      {map[string]string{"README": "MIT"}, "", "no licence file"},
		"a source file of a like name": {map[string]string{"license.go": "package x", "LICENSE": mit}, "", "license.go is no licence"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			names, err := licences(dir)
			if got := strings.Join(names, " "); got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v; want %q, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

// What is linked into the command is allowed: the check itself is a test.
func TestWhatIsLinkedIsAllowed(t *testing.T) {
	var out strings.Builder
	if err := run(&out, []string{"../../cmd/stepcanary", "../../lambdas/..."}); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "\n"); n < 20 {
		t.Errorf("%d modules were looked at; want those of the Kubernetes and AWS clients at least:\n%s", n, out.String())
	}
}
