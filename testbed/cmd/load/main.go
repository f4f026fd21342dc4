// Command load sends HTTP requests to the test bed at a fixed rate and prints
// what came back, by version. It refuses every target but loopback.
//
//	load -rate 200 -d 30s http://127.0.0.1:8000/
//	load -n 2000 -host shop.example -H 'X-Canary: insider' -cookie user=7 http://127.0.0.1:8000/
//	load -rate 50 -d 1m -o json -bucket 100ms http://127.0.0.1:8000/a http://127.0.0.1:8000/b
//
// Ctrl-C ends the run early and prints what came back so far. It exits with 0
// whatever the answers were, with 1 when it could not run, and, where
// -max-failed is given, with 2 when more requests failed or were dropped.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stepcanary/stepcanary/testbed/load"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	var o load.Options
	flags.Float64Var(&o.Rate, "rate", 0, "requests a second, sent on time whatever comes back; 0: as fast as answers come")
	flags.IntVar(&o.Requests, "n", 0, "end after so many requests")
	flags.DurationVar(&o.Duration, "d", 0, "end after this time")
	flags.IntVar(&o.InFlight, "in-flight", 0, "most requests under way (default 256, or 8 without a rate)")
	flags.DurationVar(&o.Timeout, "timeout", 0, "of one request (default 5s)")
	flags.DurationVar(&o.Bucket, "bucket", 0, "width of the JSON's series (default 1s)")
	flags.IntVar(&o.Sessions, "sessions", 0, "users in turn, each keeping its cookies")
	flags.BoolVar(&o.Fresh, "fresh", false, "a new connection for each request")
	host := flags.String("host", "", "Host header")
	method := flags.String("method", "", "method (default GET)")
	output := flags.String("o", "text", "text or json")
	maxFailed := flags.Int("max-failed", -1, "exit with 2 when more requests failed or were dropped")
	header := http.Header{}
	flags.Func("H", "header `Name: value`, repeatable", func(s string) error {
		k, v, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("expected Name: value")
		}
		header.Add(strings.TrimSpace(k), strings.TrimSpace(v))
		return nil
	})
	flags.Func("cookie", "cookie `name=value`, repeatable", func(s string) error {
		if !strings.Contains(s, "=") {
			return errors.New("expected name=value")
		}
		if c := header.Get("Cookie"); c != "" {
			s = c + "; " + s
		}
		header.Set("Cookie", s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 1, err
	}
	if *output != "text" && *output != "json" {
		return 1, fmt.Errorf("-o: found %q, expected text or json", *output)
	}
	for _, u := range flags.Args() {
		o.Targets = append(o.Targets, load.Target{URL: u, Host: *host, Method: *method, Header: header})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := load.Run(ctx, o)
	if err != nil {
		return 1, err
	}
	if *maxFailed >= 0 && r.Failed+r.Dropped > *maxFailed {
		return 2, write(out, r, *output)
	}
	return 0, write(out, r, *output)
}

func write(out io.Writer, r load.Result, format string) error {
	if format == "text" {
		return r.WriteText(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
