// Command pack puts the functions' binaries and the CLI into zips, the same bytes for the same
// input, and measures the functions.
//
//	pack -dist dist [-measure DIR]
//
// It reads dist/NAME/bootstrap for each folder NAME below lambdas, and dist/cli/ARCH/stepcanary, and
// writes dist/NAME.zip and dist/stepcanary-linux-ARCH.zip. A zip over the limit is an error. With
// -measure it runs DIR/NAME/bootstrap, built for this machine, behind Lambda's Runtime API
// and prints the time from its start to its first request for work, and its memory then.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Limits of a function: of its zip in bytes, of its memory in bytes after the start.
const (
	maxZip = 8 << 20
	maxRSS = 40 << 20
)

func main() {
	dist := flag.String("dist", "dist", "folder of the binaries, and of the zips")
	measured := flag.String("measure", "", "folder of the functions' binaries for this machine")
	flag.Parse()
	if err := run(os.Stdout, *dist, *measured); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, dist, measured string) error {
	functions, err := named(dist, "*/bootstrap")
	if err != nil {
		return err
	}
	if len(functions) == 0 {
		return fmt.Errorf("no %s/NAME/bootstrap: scripts/package builds them", dist)
	}
	fmt.Fprintf(out, "%-14s %9s %9s %9s\n", "function", "zip MB", "init ms", "RSS MB")
	for _, name := range functions {
		zip := filepath.Join(dist, name+".zip")
		size, err := pack(zip, filepath.Join(dist, name, "bootstrap"), "bootstrap")
		if err != nil {
			return err
		}
		if size > maxZip {
			return fmt.Errorf("%s has %d bytes, expected at most %d", zip, size, maxZip)
		}
		initTime, rss := "-", "-"
		if measured != "" {
			m, err := measure(name, filepath.Join(measured, name, "bootstrap"))
			if err != nil {
				return err
			}
			if m.rss > maxRSS {
				return fmt.Errorf("%s uses %d bytes after its start, expected at most %d", name, m.rss, maxRSS)
			}
			initTime, rss = fmt.Sprintf("%.1f", float64(m.init.Microseconds())/1000), megabytes(m.rss)
		}
		fmt.Fprintf(out, "%-14s %9s %9s %9s\n", name, megabytes(size), initTime, rss)
	}
	return packCLI(out, dist)
}

func packCLI(out io.Writer, dist string) error {
	architectures, err := named(filepath.Join(dist, "cli"), "*/stepcanary")
	if err != nil {
		return err
	}
	for _, arch := range architectures {
		zip := filepath.Join(dist, "stepcanary-linux-"+arch+".zip")
		size, err := pack(zip, filepath.Join(dist, "cli", arch, "stepcanary"), "stepcanary")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-24s %s MB\n", filepath.Base(zip), megabytes(size))
	}
	return nil
}

// named gives the folders below dir that hold the pattern's file, sorted.
func named(dir, pattern string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	slices.Sort(names)
	return names, nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
