package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	var zips [][]byte
	for i, when := range []time.Time{time.Unix(1, 0), time.Now()} {
		binary := filepath.Join(dir, "bootstrap")
		if err := os.WriteFile(binary, bytes.Repeat([]byte("code"), 1000), os.FileMode(0o600+i*0o100)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(binary, when, when); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "f.zip")
		if _, err := pack(path, binary, "bootstrap"); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		zips = append(zips, data)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("two zips of the same code differ")
	}
}

func TestAZipHoldsAnExecutable(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "bootstrap")
	if err := os.WriteFile(binary, []byte("code"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f.zip")
	if _, err := pack(path, binary, "bootstrap"); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode() != 0o755 {
		t.Fatalf("files %v, mode %v", z.File, z.File[0].Mode())
	}
	r, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil || string(data) != "code" {
		t.Errorf("content %q, %v", data, err)
	}
}

func TestRun(t *testing.T) {
	for name, tt := range map[string]struct {
		size int
		want string
	}{
		"a function within the limit is packed": {100, ""},
		"a function over the limit is refused":  {9 << 20, "expected at most 8388608"},
		"nothing built is said":                 {0, "scripts/package builds them"},
	} {
		t.Run(name, func(t *testing.T) {
			dist := t.TempDir()
			if tt.size > 0 {
				if err := os.Mkdir(filepath.Join(dist, "hold"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dist, "hold", "bootstrap"), noise(tt.size), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := run(&out, dist, "")
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("run: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("run: %v, want %q", err, tt.want)
			}
		})
	}
}

// noise is data that does not compress: a linear congruential generator's.
func noise(n int) []byte {
	data, x := make([]byte, n), uint32(1)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}
