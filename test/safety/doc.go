// Package safety searches for a state in which one of the promises of docs/design.md breaks.
//
// It runs the shipped state machine with the shipped steps over the drivers in memory, in virtual
// time, once for every point at which the outside can act and every way in which it can: an
// error before a call or after it took effect, a killed or a stuck function, a duplicate, a
// stopped execution, a person at the route, a gate that says no, a version that dies. After each
// call the invariants are checked, and at the end a recovery: one more rollout has to come through.
//
// A run follows from its scenario and its faults alone, so that each failure can be run again:
// go test ./test/safety -run TestReplay -scenario good -faults 'kill-after@17,stop@23'.
package safety
