package asl

import "time"

// context is the context object as a frame sees it.
func (s *stepper) context(f *Frame) any {
	x := s.x
	execution := map[string]any{
		"Id":        x.ID,
		"Input":     s.stored(x.Input),
		"Name":      x.Name,
		"RoleArn":   x.RoleARN,
		"StartTime": stamp(x.Started),
	}
	if x.Redrives > 0 {
		execution["RedriveCount"] = number(int64(x.Redrives))
		execution["RedriveTime"] = stamp(x.Redriven)
	}
	c := map[string]any{
		"Execution":    execution,
		"StateMachine": map[string]any{"Id": x.MachineID, "Name": x.MachineName},
	}
	if f.EnteredID > 0 {
		c["State"] = map[string]any{"Name": f.State, "EnteredTime": stamp(f.Entered), "RetryCount": number(int64(f.RetryCount))}
	}
	if f.Call != nil && f.Call.Token != "" {
		c["Task"] = map[string]any{"Token": f.Call.Token}
	}
	for g := f; g != nil; g = s.parent(g) {
		if g.Item == "" {
			continue
		}
		c["Map"] = map[string]any{"Item": map[string]any{"Index": number(int64(g.Index)), "Value": s.stored(g.Item)}}
		break
	}
	return c
}

// stamp writes a time as the context object has it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
