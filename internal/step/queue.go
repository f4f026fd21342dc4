package step

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
)

// longestQueue is the most rollouts of a service that wait at once: the queue is written into the
// record, and whoever starts more than this has another problem.
const longestQueue = 100

// first says who is to be rolled out before this one: the lock's owner, or the first of those that wait
// and came earlier. Empty where it is this one's turn: whoever stands in the record has ended.
func (s Prepare) first(ctx context.Context, access Access, ro Rollout, rec record.Record) (string, error) {
	if rec.Epoch == 0 {
		running, err := s.unrecorded(ctx, access, ro)
		if running != "" || err != nil {
			return running, err
		}
	}
	if rec.Holder != "" {
		if account(rec.Holder) != account(ro.Execution) {
			return fmt.Sprintf("the lock is held by %q, which is no execution of this engine; whoever wrote that has to take it out", rec.Holder), nil
		}
		ended, err := s.Executions.Ended(ctx, rec.Holder)
		if err != nil {
			return "", fmt.Errorf("look up the lock's owner %s: %w", rec.Holder, err)
		}
		if !ended {
			return fmt.Sprintf("%s is running since %s", rec.Holder, rec.Acquired.Format(time.RFC3339)), nil
		}
	}
	for _, earlier := range rec.Ahead(ro.Execution) {
		ended, err := s.Executions.Ended(ctx, earlier)
		if err != nil {
			return "", fmt.Errorf("look up %s, which waits for the lock: %w", earlier, err)
		}
		if !ended {
			return earlier + " waits for its turn", nil
		}
	}
	return "", nil
}

// unrecorded finds a rollout that runs, and whose Lease was deleted: one of the versions that are there is its own.
func (s Prepare) unrecorded(ctx context.Context, access Access, ro Rollout) (string, error) {
	versions, err := access.Cluster.Versions(ctx, ro.Service)
	if err != nil {
		return "", fmt.Errorf("list versions of %s: %w", ro.Service.Name, err)
	}
	for _, v := range versions {
		if !v.Ours || v.Rollout == ro.Execution || account(v.Rollout) != account(ro.Execution) {
			continue
		}
		ended, err := s.Executions.Ended(ctx, v.Rollout)
		if err != nil {
			return "", fmt.Errorf("look up %s, which brought up %s: %w", v.Rollout, v.Name, err)
		}
		if !ended {
			return fmt.Sprintf("%s is running, with %s, and its Lease was deleted; let it end", v.Rollout, v.Name), nil
		}
	}
	return "", nil
}

// account is the part of an execution's ARN that says whose engine it is: partition, region and account. Only
// of its own an engine can tell whether they have ended. Empty for what is no ARN of an execution.
func account(execution string) string {
	part := strings.SplitN(execution, ":", 7)
	if len(part) < 7 || part[0] != "arn" || part[2] != "states" || part[5] != "execution" {
		return ""
	}
	return strings.Join(part[1:5], ":")
}

// wait has the rollout wait for its turn, in the order of arrival: an older commit must not come after a newer one.
// Nothing runs meanwhile; the state machine calls Prepare again. It is refused at once where deploy.json has no
// queue, and when its time there is over. The error is never nil.
func (s Prepare) wait(ctx context.Context, access Access, ro Rollout, rec record.Record, queue time.Duration, why string) error {
	op := "start rollout of " + ro.Service.Namespace + "/" + ro.Service.Name
	waited := s.Clock.Now().Sub(ro.Started)
	switch {
	case queue == 0:
		return fmt.Errorf("%s: %w: %s", op, fault.Refused, why)
	case waited >= queue:
		// It stays in the record until somebody's turn comes, who finds that it has ended.
		return fmt.Errorf("%s: %w: it waited for its turn for %v: %s", op, fault.Refused, queue, why)
	case rec.Waits(ro.Execution):
		return fmt.Errorf("%s: %w: %s", op, fault.Queued, why)
	case len(rec.Queue) >= longestQueue:
		return fmt.Errorf("%s: %w: %d rollouts wait already: %s", op, fault.Refused, len(rec.Queue), why)
	}
	if err := s.runs(ctx, ro, rec); err != nil {
		return err
	}
	if _, err := access.Records.Write(ctx, ro.Service, rec.Join(ro.Execution)); err != nil {
		return fmt.Errorf("join the queue of %s: %w", ro.Service.Name, err)
	}
	return fmt.Errorf("%s: %w: %s", op, fault.Queued, why)
}
