package bed

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/testbed/part"
)

// Status is what a bed tells of itself.
type Status struct {
	Dir        string        `json:"dir"`
	Kubeconfig string        `json:"kubeconfig"`
	Gateway    string        `json:"gateway"`
	Prometheus string        `json:"prometheus"`
	Started    time.Time     `json:"started"`
	ReadyAfter time.Duration `json:"readyAfter"`
	Parts      []PartStatus  `json:"parts"`
}

// PartStatus tells of one part.
type PartStatus struct {
	Name string `json:"name"`
	// PID is 0 when the part does not run.
	PID int `json:"pid"`
	// Memory is the resident set in bytes.
	Memory int64 `json:"memory"`
}

// Actions that Control can take on a part.
const (
	ActionStart   = "start"
	ActionStop    = "stop"
	ActionKill    = "kill"
	ActionRestart = "restart"
)

func (b *Bed) add(p *part.Part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts[p.Name] = p
	b.order = append(b.order, p.Name)
}

func (b *Bed) socket() string { return b.Path("control.sock") }

// serveControl lets other programs of the same user ask for the bed's status
// and stop and start its parts, over a socket in its directory.
func (b *Bed) serveControl() error {
	listener, err := net.Listen("unix", b.socket())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(b.Status())
	})
	mux.HandleFunc("POST /parts/{name}/{action}", func(w http.ResponseWriter, r *http.Request) {
		if err := b.Control(r.PathValue("name"), r.PathValue("action")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(b.ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with Close
	return nil
}

// Control stops, kills or starts a part, or kills and starts it again. It
// returns when the part's process is gone or there; a started part needs a
// moment until it answers.
func (b *Bed) Control(name, action string) error {
	b.mu.Lock()
	p := b.parts[name]
	names := append([]string{}, b.order...)
	b.mu.Unlock()
	if p == nil {
		return fmt.Errorf("part %q: no such part; there are %s", name, strings.Join(names, ", "))
	}
	switch action {
	case ActionStart:
		return p.Start()
	case ActionStop:
		p.Stop()
		return nil
	case ActionKill:
		p.Kill()
		return nil
	case ActionRestart:
		p.Kill()
		return p.Start()
	}
	return fmt.Errorf("action %q: want start, stop, kill or restart", action)
}

// Status tells how the bed is.
func (b *Bed) Status() Status {
	s := Status{
		Dir: b.Dir, Kubeconfig: b.Kubeconfig("admin"), Gateway: b.GatewayURL(), Prometheus: b.PrometheusURL(),
		Started: b.Started, ReadyAfter: b.ready,
		Parts: []PartStatus{{Name: "testbed", PID: os.Getpid(), Memory: memory(os.Getpid())}},
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	names := append([]string{}, b.order...)
	sort.Strings(names)
	for _, name := range names {
		pid := b.parts[name].PID()
		s.Parts = append(s.Parts, PartStatus{Name: name, PID: pid, Memory: memory(pid)})
	}
	return s
}

// memory is the resident set of a process in bytes, 0 when it is gone.
func memory(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(content))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
