package safety

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// killed is the panic that ends a function where it stands.
type killed struct{}

// A function is one that is under way.
type function struct {
	name    string
	engine  int   // the one that it dies with; 0 for none
	entered stamp // the state in which it was called
	known   stamp // what it may have learned since
	waited  bool
	next    []Kind // what becomes of the call that it is in
	stop    func() // ends its waits
	// answered tells that its answer to its token is stored, killed that it is no more.
	answered, killed bool
}

// dies tells whether a function has been killed, or will be when it wakes, with its engine.
func (r *run) dies(f *function) bool { return f.killed || f.engine > 0 && f.engine <= r.dead }

// recovered ends a function by a panic in a part of it.
func (r *run) recovered(f *function, x any) {
	if _, ok := x.(killed); !ok {
		panic(x)
	}
	f.killed = true
	f.stop()
}

type functionKey struct{}

// tellings is how often the rule's function fails until it is called no more; on AWS its event is put aside then.
const tellings = 10

// lambdaLimit is how long a function runs where its task has no limit of its own.
const lambdaLimit = 15 * time.Minute

// disturb stands around the functions of an engine, as AWS does.
func (r *run) disturb(engine int) func(string, local.Handler) local.Handler {
	return func(name string, f local.Handler) local.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			if engine <= r.dead || r.cut {
				return nil, errDead
			}
			return r.invoke(ctx, &function{name: name, engine: engine}, input, f)
		}
	}
}

// invoke calls a function with what goes wrong with this invocation.
func (r *run) invoke(ctx context.Context, f *function, input json.RawMessage, h local.Handler) (json.RawMessage, error) {
	task, inTask := local.FromContext(ctx)
	text := plain(string(input), task.Token)
	f.known = stampOf(fmt.Appendf(nil, "%s %s %d", f.name, text, r.clock.Now().UnixNano()))
	if !inTask {
		r.hooks[text] += r.clock.Now().Format("15:04:05.999999999 ")
	}
	if !inTask && (r.orphaned || r.untold == tellings) {
		return json.RawMessage(`{}`), nil
	}
	if !r.enter(f) {
		return nil, errDead
	}
	limit := lambdaLimit
	if !task.Deadline.IsZero() {
		limit = task.Deadline.Sub(r.clock.Now())
	}
	for _, k := range r.invoked() {
		switch k {
		case Garbage:
			if _, err := r.call(ctx, f, limit, input, h); err != nil {
				return nil, err
			}
			return json.RawMessage(`[]`), nil
		case Twice:
			_, _ = r.call(ctx, f, limit, input, h)
		case Late:
			r.afterwards(10*time.Minute, "late "+text, func() { r.duplicate(f.name, limit, input, h) })
		case VeryLate:
			r.later = append(r.later, plan{what: "very late " + text})
			r.late = append(r.late, func() { r.duplicate(f.name, limit, input, h) })
		}
	}
	out, err := r.call(ctx, f, limit, input, h)
	if f.name == shifting && err == nil {
		r.checkShift(input, out)
	}
	if f.name == "rollback" {
		r.wayBack = err
	}
	if !inTask && err != nil {
		r.untold++
	}
	if f.name == "hold" && err == nil {
		r.holds()
	}
	return out, err
}

// holds is what happens in a Hold, where no function is at work.
func (r *run) holds() {
	r.afterwards(time.Second, "hold", func() { _ = r.before(waiting) })
	if r.scenario.Approves {
		r.afterwards(20*time.Second, "approve", func() { r.wish("a", rollout.WishResume) })
	}
}

// enter notes the state that the run is in, and ends the run where that is known.
func (r *run) enter(f *function) bool {
	if !r.counting {
		return true
	}
	b := boundary{r.identity(f), r.place}
	f.entered = b.stamp
	r.result.boundaries = append(r.result.boundaries, b)
	if r.known != nil && r.result.hit == r.faults && r.known(b.stamp) {
		r.cut, r.counting, r.session.dead = true, false, true
		r.engine.Abandon()
		return false
	}
	return true
}

// call runs the function once. AWS lets it run to its own limit, whatever becomes of its task.
func (r *run) call(ctx context.Context, f *function, limit time.Duration, input json.RawMessage, h local.Handler) (out json.RawMessage, err error) {
	ctx, cancel := clock.WithTimeout(context.WithValue(context.WithoutCancel(ctx), functionKey{}, f), r.clock, limit)
	defer cancel()
	f.stop = cancel
	before := r.current
	r.current = f
	r.underWay = append(r.underWay, f)
	defer func() {
		r.underWay = slices.DeleteFunc(r.underWay, func(x *function) bool { return x == f })
		r.current = before
		if x := recover(); x != nil {
			r.recovered(f, x)
			out, err = nil, messages.InvokeResponse_Error{Type: "Runtime.ExitError", Message: "Error: Runtime exited with error: signal: killed"}
		}
	}()
	out, err = h(ctx, input)
	if r.before(returning) != nil {
		return nil, errDead
	}
	return out, err
}

// duplicate runs a function that nobody waits for.
func (r *run) duplicate(name string, limit time.Duration, input json.RawMessage, h local.Handler) {
	if r.cut {
		return
	}
	f := &function{name: name, known: stampOf(fmt.Appendf(nil, "again %s %s", name, input))}
	f.entered = r.identity(f)
	if _, err := r.call(context.Background(), f, limit, input, h); err != nil && strings.Contains(err.Error(), string(fault.Fenced)) {
		r.mark("a late duplicate was fenced off")
	}
}

// invoked counts an invocation and gives what goes wrong with it.
func (r *run) invoked() []Kind {
	if !r.counting {
		return nil
	}
	r.place.Invocations++
	kinds := r.tasks[r.place.Invocations]
	r.strike(kinds, Place{Invocations: 1})
	return kinds
}

// strike notes that faults struck, at a place that was counted up by one.
func (r *run) strike(kinds []Kind, one Place) {
	if len(kinds) == 0 {
		return
	}
	r.result.hit += len(kinds)
	r.hindered = r.hindered || slices.ContainsFunc(kinds, func(k Kind) bool { return !slices.Contains(calm, k) })
	r.result.struck = Place{r.place.Points - one.Points, r.place.Invocations - one.Invocations, r.place.Commits - one.Commits}
}

// committing counts a commit and tells whether the engine dies before or after it.
func (r *run) committing() (before, after bool) {
	if !r.counting {
		return false, false
	}
	r.place.Commits++
	kinds := r.commits[r.place.Commits]
	for _, k := range kinds {
		r.mark("an engine died at a commit: " + string(k))
	}
	r.strike(kinds, Place{Commits: 1})
	return slices.Contains(kinds, Uncommitted), slices.Contains(kinds, Committed)
}

// before is the moment before a call of a driver.
func (r *run) before(op string) error {
	f := r.current
	if f != nil && r.dies(f) {
		panic(killed{})
	}
	if !r.counting {
		if r.cut {
			return errDead
		}
		return nil
	}
	if op == "workload.Remove" {
		r.could = r.canServe()
	}
	r.know(f, op)
	r.place.Points++
	r.ops = append(r.ops, op)
	kinds := r.points[r.place.Points]
	r.strike(kinds, Place{Points: 1})
	var end Kind
	for _, k := range kinds {
		switch {
		case aside(op) && (k.ends() || k == Restart): // there is no call that it could strike at
		case k == Restart:
			r.mark("an engine was restarted beside its functions")
			r.crash(false)
		case k.ends():
			end = k
		default:
			r.act(k)
			r.version++
		}
		r.know(f, string(k))
	}
	return r.end(f, op, end)
}

// routeWrites name the revision of the route that they were made for: one that was made anew turns them away.
var routeWrites = []string{"traffic.Shift", "traffic.Match", "traffic.Settle"}

// end is what becomes of a call.
func (r *run) end(f *function, op string, k Kind) error {
	if k == Stuck && op == asking {
		f.next = append(f.next, k) // it writes nothing, and is given up by the function itself
		return nil
	}
	switch k {
	case Throttled:
		return fmt.Errorf("injected: %w", fault.Transient)
	case Conflicted:
		return fmt.Errorf("injected: %w", fault.Conflict)
	case Refused:
		return fmt.Errorf("injected: %w", fault.Invalid)
	case KillBefore:
		panic(killed{})
	case Crash:
		r.mark("an engine was killed and started again")
		r.dead = r.birth
		r.crash(false)
		panic(killed{})
	case Stuck:
		r.mark(lateWrite)
		r.lateOps[op] = true
		r.waits(f)
		sent := r.clock.Now()
		_ = r.clock.Sleep(context.Background(), 30*time.Minute)
		r.current = f
		if r.dies(f) {
			panic(killed{})
		}
		r.know(f, "woke")
		if slices.Contains(routeWrites, op) && r.gap.After(sent) {
			return fmt.Errorf("injected: %w", fault.Conflict)
		}
	case Lost, KillAfter:
		f.next = append(f.next, k)
	}
	return nil
}

// after is the moment after a call that took effect.
func (r *run) after(op string) error {
	if !strings.HasSuffix(op, "Read") {
		r.version++
	}
	if strings.HasPrefix(op, "traffic.S") || op == "workload.Apply" {
		r.moved()
	}
	if r.cut {
		return nil
	}
	r.checkCall()
	if op == "workload.Remove" {
		r.checkRemoval()
	}
	f := r.current
	if f == nil || len(f.next) == 0 {
		return nil
	}
	k := f.next[0]
	f.next = nil
	if k == KillAfter {
		panic(killed{})
	}
	return fmt.Errorf("injected: %w", fault.Transient)
}

func (r *run) mark(what string) { r.marks[what] = true }

// act lets the world do something right now.
func (r *run) act(k Kind) {
	switch k {
	case Stop:
		_, _ = r.engine.Stop(r.main(), asl.Failure{})
	case Orphan:
		r.orphaned = true
		_, _ = r.engine.Stop(r.main(), asl.Failure{})
	case Expire:
		// The engine looks at the clock when it is told something. A stop that comes when the time is
		// over does nothing else.
		r.disk.expire(r.main(), r.clock.Now())
		_, _ = r.engine.Stop(r.main(), asl.Failure{})
	case Abort:
		if r.ask("Canary.Aborted", "a person said so") {
			r.afterwards(abortWithin+r.scenario.Router.Delay, "abort", r.checkAbort)
		}
	case Pause:
		r.wish("p", rollout.WishPause)
	case Resume:
		r.wish("u", rollout.WishResume)
	case PauseResume:
		r.wish("p", rollout.WishPause)
		r.afterwards(45*time.Second, "resume", func() { r.wish("r", rollout.WishResume) })
	case PromoteNow:
		r.wish("n", rollout.WishPromote)
	case Second:
		r.begin("checkout-y", nil)
	case Redrive:
		r.afterwards(time.Hour, "redrive", func() {
			if _, err := r.engine.Redrive(r.main(), ""); err == nil {
				r.mark("an execution was redriven")
				r.redriven = r.clock.Now()
			}
		})
	default:
		r.harm(k)
	}
}

// harm lets something happen to the service and what stands around it.
func (r *run) harm(k Kind) {
	switch k {
	case Edit:
		r.edit()
	case CanaryDies:
		r.die(searchedVersion(r.scenario))
	case StableDies:
		r.die("checkout-1")
	case StableBlinks:
		r.die("checkout-1")
		r.afterwards(time.Minute, "blink", func() {
			r.world.Cluster.Behave(service.Namespace, "checkout-1", cluster.Script{})
			r.version++
		})
	case Silence:
		r.silence(meter.Script{})
	case SilenceEnds:
		r.silence(meter.Script{})
		r.afterwards(time.Minute, "speak", func() { r.speak() })
	case SourceDown:
		script := meter.Steady(100, r.rates())
		script.Down = []meter.Span{{}}
		r.silence(script)
	case RouteGone:
		r.loseRoute()
	case LeaseGone:
		r.rewrite(func(rec *record.Record) { *rec = record.Record{Revision: rec.Revision} })
	case HolderEmptied:
		r.rewrite(func(rec *record.Record) { rec.Holder = "" })
	case GateNo, GateSilent, GateNonsense:
		r.web.coming = k
	case Deaf:
		r.world.Router.Script(router.Script{Never: true})
		r.afterwards(deafFor, "hear", func() {
			r.world.Router.Script(r.scenario.Router)
			r.moved()
		})
	}
}

// die takes all pods of a version away.
func (r *run) die(name string) {
	r.lookWhoIsReady()
	r.noPods[name] = true
	r.world.Cluster.Behave(service.Namespace, name, cluster.Script{Outages: []cluster.Outage{{}}})
}

func (r *run) main() string { return r.arns[0] }

// ask answers the token of the state that waits, if one does.
func (r *run) ask(name, cause string) (heard bool) {
	for _, token := range r.disk.kept[r.main()].record.Execution.Tokens() {
		if r.engine.SendTaskFailure(token, asl.Failure{Error: &name, Cause: &cause}) == nil {
			r.mark("a person was heard: " + name)
			heard = true
		}
	}
	return heard
}

// wish is a person's request, by a name of its own.
func (r *run) wish(id string, w rollout.Wish) {
	frames := r.disk.kept[r.main()].record.Execution.Frames
	needs := slices.ContainsFunc(frames, func(f *asl.Frame) bool { return strings.Contains(f.Input, `"needs":"gate"`) })
	asked := undecided(frames)
	if r.ask("Canary.Asked", fmt.Sprintf(`{"id":%q,"request":%q}`, id, w)) {
		r.web.wished(w, needs)
		if w == rollout.WishPromote {
			maps.Copy(r.web.decided, asked)
		}
	}
}

// undecided are the steps in which the execution asks for a person's verdict.
func undecided(frames []*asl.Frame) map[int]bool {
	out := map[int]bool{}
	for _, f := range frames {
		var doc step.Document
		if json.Unmarshal([]byte(f.Input), &doc) == nil && doc.Watch != nil && doc.Watch.Needs == rollout.NeedVerdict {
			out[doc.Watch.Of] = true
		}
	}
	return out
}

// token is the next one; none is like another.
func (r *run) token() string {
	r.tokens++
	return fmt.Sprintf("AQCE-%d-of-this-run", r.tokens)
}

func weightsText(w map[string]rollout.Weight) string { return fmt.Sprint(w) }
