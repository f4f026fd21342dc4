package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// newProgress prints a line for each thing that happens, with the time since
// the first call and the part that it happened to.
func newProgress(w io.Writer) func(part, message string) {
	started := time.Now()
	var mu sync.Mutex
	return func(part, message string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "[%5.1fs] %-12s %s\n", time.Since(started).Seconds(), part, message)
	}
}
