package asl

import (
	"errors"
	"time"
)

// Status is the status of an execution.
type Status string

// The statuses of Step Functions.
const (
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	TimedOut  Status = "TIMED_OUT"
	Aborted   Status = "ABORTED"
)

// MaxEvents is the most events that a history may have.
const MaxEvents = 25000

// An Execution is one run of a state machine: plain data, to be stored between
// steps. Only Step changes it once it was started.
type Execution struct {
	ID, Name               string    `json:",omitzero"` // ARN and name, for the context object
	MachineID, MachineName string    `json:",omitzero"`
	RoleARN                string    `json:",omitzero"`
	Input                  string    `json:",omitzero"` // as it was given
	Started                time.Time `json:",omitzero"`
	Status                 Status    `json:",omitzero"`

	// When it has ended:
	Ended  time.Time `json:",omitzero"`
	Output string    `json:",omitzero"`
	Error  *string   `json:",omitzero"`
	Cause  *string   `json:",omitzero"`

	Deadline  time.Time `json:",omitzero"` // of the whole machine; zero for none
	LastEvent int64     `json:",omitzero"`
	Redrives  int       `json:",omitzero"`
	Redriven  time.Time `json:",omitzero"`

	Frames    []*Frame `json:",omitzero"`
	LastFrame int      `json:",omitzero"`
}

// A Frame is one line of work in an execution: the top one, or a branch of a
// Parallel or Map state, and where it stands.
type Frame struct {
	ID     int `json:",omitzero"`
	Parent int `json:",omitzero"` // the frame whose Parallel or Map state this one works for; 0 for none
	Index  int `json:",omitzero"` // of the branch or item

	State     string      `json:",omitzero"`
	Status    FrameStatus `json:",omitzero"`
	Input     string      `json:",omitzero"` // the state's raw input
	Entered   time.Time   `json:",omitzero"`
	EnteredID int64       `json:",omitzero"`
	Previous  int64       `json:",omitzero"` // the last event of this line

	Retries    []int     `json:",omitzero"` // by retrier
	RetryCount int       `json:",omitzero"`
	Wake       time.Time `json:",omitzero"` // when a wait or the delay of a retry ends

	Call      *Call     `json:",omitzero"`
	Calls     int       `json:",omitzero"` // how many calls this frame has made
	Submitted bool      `json:",omitzero"` // the function has returned, the token is awaited
	Deadline  time.Time `json:",omitzero"` // of the task; zero for none
	Heartbeat int64     `json:",omitzero"` // seconds; 0 for none
	HeartBy   time.Time `json:",omitzero"`

	Branching *Branching `json:",omitzero"`
	Item      string     `json:",omitzero"` // the item of a Map iteration
}

// Branching is the state of a Parallel or Map state that waits for its frames.
type Branching struct {
	Next        int // the first branch or item that is not started
	Total       int
	Concurrency int      // 0 for no bound
	Items       []string // Map only
	Input       string   // what branches or ItemSelector work on
	Results     []string
	Left        int // branches or items that have not ended
}

// FrameStatus says what a frame waits for.
type FrameStatus string

// What a frame waits for. Stuck frames belong to executions that have ended
// without success; a redrive goes on with them.
const (
	FrameReady    FrameStatus = "READY"    // its turn
	FrameCalling  FrameStatus = "CALLING"  // a function, or a token's answer
	FrameSleeping FrameStatus = "SLEEPING" // the end of a wait
	FrameRetrying FrameStatus = "RETRYING" // the delay before a retry
	FrameJoining  FrameStatus = "JOINING"  // its branches
	FrameStuck    FrameStatus = "STUCK"
)

// A Call is a function to be called for a frame. A driver that does not know
// what became of a call makes it again: tasks run at least once.
type Call struct {
	Frame, Number int       `json:",omitzero"` // Number counts the frame's calls
	State         string    `json:",omitzero"` // the Task state
	Service       string    `json:",omitzero"` // "lambda", or another integration's
	Action        string    `json:",omitzero"` // "" for a function's own ARN, else like "invoke"
	Function      string    `json:",omitzero"` // name or ARN
	Payload       string    `json:",omitzero"`
	Token         string    `json:",omitzero"` // of a task that ends by its token; else empty
	Deadline      time.Time `json:",omitzero"` // when the task times out; zero for never
}

// frame finds a frame by its ID.
func (x *Execution) frame(id int) *Frame {
	for _, f := range x.Frames {
		if f.ID == id {
			return f
		}
	}
	return nil
}

// PendingCalls are the calls whose end is not known, to be made again after a
// restart.
func (x *Execution) PendingCalls() []Call {
	var out []Call
	for _, f := range x.Frames {
		if x.Status == Running && f.Status == FrameCalling && !f.Submitted {
			out = append(out, *f.Call)
		}
	}
	return out
}

// Tokens are the task tokens that can be answered now.
func (x *Execution) Tokens() []string {
	var out []string
	for _, f := range x.Frames {
		if x.Status == Running && f.Status == FrameCalling && f.Call.Token != "" {
			out = append(out, f.Call.Token)
		}
	}
	return out
}

// Due is the next moment at which Step wants a Woken event.
func (x *Execution) Due() (time.Time, bool) {
	if x.Status != Running {
		return time.Time{}, false
	}
	due := x.Deadline
	for _, f := range x.Frames {
		if f.Status == FrameReady {
			return x.Started, true // at once
		}
		if at := f.due(); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due, !due.IsZero()
}

func (f *Frame) due() time.Time {
	switch f.Status {
	case FrameSleeping, FrameRetrying:
		return f.Wake
	case FrameCalling:
		if f.Deadline.IsZero() || !f.HeartBy.IsZero() && f.HeartBy.Before(f.Deadline) {
			return f.HeartBy
		}
		return f.Deadline
	}
	return time.Time{}
}

// An Event makes an execution go on: Begun, Woken, Returned, Answered, Beaten,
// Stopped or Redriven.
type Event interface{ event() }

// Begun starts an execution.
type Begun struct{}

// Woken says that time has passed.
type Woken struct{}

// Returned is the end of a call: with Output, or with Failure.
type Returned struct {
	Frame, Number int
	Output        string
	Failure       *Failure
}

// Answered is the answer to a task token: with Output, or with Failure.
type Answered struct {
	Token   string
	Output  string
	Failure *Failure
}

// Beaten is a heartbeat of a task.
type Beaten struct{ Token string }

// Stopped ends an execution from outside.
type Stopped struct{ Failure }

// Redriven takes up an execution that ended without success.
type Redriven struct{}

// A Failure is an error's name and cause; either may be absent.
type Failure struct{ Error, Cause *string }

func (Begun) event()    {}
func (Woken) event()    {}
func (Returned) event() {}
func (Answered) event() {}
func (Beaten) event()   {}
func (Stopped) event()  {}
func (Redriven) event() {}

// Env is what an execution gets from outside at one step.
type Env struct {
	Now      time.Time
	Region   string
	Random   func() float64 // in [0, 1), for jitter and MathRandom
	NewUUID  func() string
	NewToken func() string
}

// A Result is what a step did. The driver stores the execution and the history
// first, and makes the calls then.
type Result struct {
	History   []HistoryEvent
	Calls     []Call
	Abandoned []Call // calls whose result nobody waits for any more
}

// Errors of Step.
var (
	// ErrNoTask is for a token that no task waits for.
	ErrNoTask = errors.New("no task waits for this token")
	// ErrNotRunning is for an event that needs a running execution.
	ErrNotRunning = errors.New("the execution is not running")
	// ErrNotRedrivable is for the redrive of an execution that runs, has
	// succeeded or has a full history.
	ErrNotRedrivable = errors.New("the execution can be redriven only after it failed, timed out or was aborted, and while its history has room")
)
