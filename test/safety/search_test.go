package safety

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	search   = flag.String("search", "short", "short: a part of the single faults; full: all of them, and random ones; long: all pairs too")
	seed     = flag.Uint64("seed", 1, "of the random search")
	scenario = flag.String("scenario", "", "the scenario to replay; of single faults and pairs, the one to search")
	pick     = flag.String("only", "", "of the pairs, try those that match, such as 'stuck.* stable-dies'")
	every    = flag.Int("every", 1, "of the pairs, try one in so many")
	faults   = flag.String("faults", "", "the faults to replay, such as kill-after@17,stop@23")
)

func TestMain(m *testing.M) {
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	debug.SetGCPercent(800) // runs are many, and small
	os.Exit(m.Run())
}

// A tally adds up results. Only the first broken runs are told one by one.
type tally struct {
	*testing.T
	mu    sync.Mutex
	runs  int
	paths map[string]bool
	marks map[string]int
	fails int
	cut   int
	told  map[string]int
}

func newTally(t *testing.T) *tally {
	return &tally{T: t, paths: map[string]bool{}, marks: map[string]int{}, told: map[string]int{}}
}

// try runs a scenario with faults.
func (c *tally) try(s Scenario, faults []Fault) { c.take(s, faults, Run(s, faults)) }

// take counts a result.
func (c *tally) take(s Scenario, faults []Fault, r Result) {
	if len(r.Broken) > 0 && len(faults) > 2 {
		faults = shrink(s, faults)
		r = Run(s, faults)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs++; c.runs%20000 == 0 {
		c.Logf("%d runs", c.runs)
	}
	if r.Cut {
		c.cut++
	} else {
		c.paths[r.Path] = true
	}
	for m := range r.Marks {
		c.marks[m]++
	}
	if len(r.Broken) == 0 {
		return
	}
	c.fails++
	if what := fmt.Sprint(r.Broken); c.told[what] < 5 { // of each kind, the first ones
		c.told[what]++
		c.Errorf("scenario %s, faults %v: %q\n  path %s", s.Name, faults, r.Broken, r.Path)
	}
}

// shrink leaves out every fault without which the run still breaks a promise.
func shrink(s Scenario, faults []Fault) []Fault {
	for i := 0; i < len(faults); {
		less := slices.Delete(slices.Clone(faults), i, i+1)
		if len(Run(s, less).Broken) > 0 {
			faults = less
		} else {
			i++
		}
	}
	return faults
}

// tell prints the figures.
func (c *tally) tell(what string) {
	c.Logf("%s: %d runs, %d different paths of states, %d with a broken promise", what, c.runs, len(c.paths), c.fails)
	names := make([]string, 0, len(c.marks))
	for m := range c.marks {
		names = append(names, m)
	}
	slices.Sort(names)
	for _, m := range names {
		c.Logf("  reached in %5d runs: %s", c.marks[m], m)
	}
}

// TestSingles runs every scenario with every single fault. In short, one in seventeen.
func TestSingles(t *testing.T) {
	c := newTally(t)
	for _, s := range Scenarios {
		if *scenario != "" && s.Name != *scenario {
			continue
		}
		plain := Run(s, nil)
		c.try(s, nil)
		singles := Singles(Place{}, plain.Place, plain.Ops)
		t.Logf("%s: %d points, %d invocations, %d commits, %d single faults", s.Name, plain.Place.Points, plain.Place.Invocations, plain.Place.Commits, len(singles))
		if *search == "short" {
			singles = part(singles, 17)
		}
		each(singles, func(f Fault) { c.try(s, []Fault{f}) })
	}
	c.tell("single faults")
	if *search == "short" || *scenario != "" {
		return
	}
	for _, m := range sometimes {
		if c.marks[m] == 0 {
			t.Errorf("no run reached: %s", m)
		}
	}
}

// sometimes are the situations that a full search has to reach; otherwise it proves less than
// it says.
var sometimes = []string{
	"a dead owner was left to the next rollout",
	"a gate opened",
	"a gate said no, and the rollout went back",
	"a gate was silent, and the rollout went back",
	"a late duplicate was fenced off",
	"a lock was taken over from a dead owner",
	"a lost lock was taken back",
	"a person was heard: Canary.Aborted",
	"a person was heard: Canary.Asked",
	"a person pointed the route at a version that was gone",
	"a task timed out",
	"a write came half an hour late",
	"an engine died at a commit: committed",
	"an engine died at a commit: uncommitted",
	"an engine was killed and started again",
	"an engine was restarted beside its functions",
	"an execution was redriven",
	"an execution ended ABORTED",
	"an execution ended Canary.Refused",
	"an execution ended Canary.RolledBack",
	"an execution ended SUCCEEDED",
	"an execution ended TIMED_OUT",
	"an execution ended without a Catch",
	"an operator was called",
	"promote-now passed a gate between two steps",
	"stable was dead, and users were given to the canary",
	"the record says Promoted",
	"the record says RolledBack",
	"the way back finished a promotion",
	"the way back of an ended execution gave up",
	"users were entered into a first deployment",
	"what nothing speaks of was left to a person",
}

func part[T any](items []T, of int) []T {
	var out []T
	for i := 0; i < len(items); i += of {
		out = append(out, items[i])
	}
	return out
}

// TestPairs runs the small scenarios with every pair of faults, in long.
func TestPairs(t *testing.T) {
	if *search != "long" {
		t.Skip("only with -search long: all pairs take an hour or more of two cores")
	}
	c := newTally(t)
	wanted := regexp.MustCompile(*pick)
	all, merged := 0, 0
	for _, s := range Small {
		if *scenario != "" && s.Name != *scenario {
			continue
		}
		p := pairs(s)
		for _, one := range p.Singles {
			if len(one.Broken) > 0 {
				t.Errorf("scenario %s, faults %v: %q", s.Name, one.Fault, one.Broken)
			}
		}
		t.Logf("%s: %d single faults, %d pairs, %d of them merged, %d to try", s.Name, len(p.Singles), p.All, p.Merged, len(p.Tries))
		all, merged = all+p.All, merged+p.Merged
		tries := slices.DeleteFunc(part(p.Tries, *every), func(list []Fault) bool { return !wanted.MatchString(fmt.Sprint(list)) })
		began := time.Now()
		each(tries, func(faults []Fault) { c.take(s, faults, p.try(faults)) })
		t.Logf("%s: %d tried, %.1f ms each, %d states", s.Name, len(tries), float64(time.Since(began).Microseconds())/1000/float64(max(1, len(tries))), len(p.good.states))
	}
	c.tell(fmt.Sprintf("pairs of faults: %d, %d of them merged, %d cut short", all, merged, c.cut))
}

// TestRandom runs longer combinations, drawn by a seed that the figures name.
func TestRandom(t *testing.T) {
	runs := map[string]int{"short": 60, "full": 3000, "long": 100000}[*search]
	c := newTally(t)
	type try struct {
		Scenario
		faults []Fault
	}
	rng := rand.New(rand.NewPCG(*seed, 0))
	var tries []try
	for _, s := range Scenarios {
		plain := Run(s, nil)
		singles := Singles(Place{}, plain.Place, plain.Ops)
		for range runs / len(Scenarios) {
			var list []Fault
			for range 2 + rng.IntN(4) {
				list = append(list, singles[rng.IntN(len(singles))])
			}
			tries = append(tries, try{s, list})
		}
	}
	each(tries, func(x try) { c.try(x.Scenario, x.faults) })
	c.tell(fmt.Sprintf("random combinations of 2 to 5 faults, seed %d", *seed))
}

// TestReplay runs one combination again and shows it.
func TestReplay(t *testing.T) {
	if *scenario == "" {
		t.Skip("no -scenario was given: nothing to replay")
	}
	list, err := ParseFaults(*faults)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Concat(Scenarios, Small) {
		if s.Name == *scenario {
			r := Run(s, list)
			t.Logf("%+v\npoints %v\npath %s\nmarks %v", r.Place, r.Ops, r.Path, r.Marks)
			for _, b := range r.Broken {
				t.Error(b)
			}
			return
		}
	}
	t.Fatalf("scenario %q is not known", *scenario)
}
