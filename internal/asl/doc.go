// Package asl runs state machines written in the Amazon States Language with
// JSONPath, as AWS Step Functions runs its standard workflows.
//
// Parse checks a definition and refuses, by name and place, everything that
// this package would not run as AWS does. Step is the interpreter: it takes an
// Execution and an Event, and returns what happened (history events, in the
// shape of GetExecutionHistory) and what is to be done (calls to functions). It
// reads no clock, does no I/O and starts nothing, so whoever drives it decides
// about time, storage and functions. An Execution is plain data that survives a
// restart of its driver.
//
// It follows the specification at https://states-language.net and, where that
// leaves a choice, what AWS was recorded to do. Not supported, and refused when
// a definition is parsed: JSONata, variables (Assign), distributed Map,
// activities, service integrations other than Lambda's, Credentials, deep scans
// ("..") and filters ("[?()]") in paths, and an InvocationType other than
// RequestResponse.
//
// What differs from AWS without being refused: members of computed objects come
// in alphabetical order; of branches that run side by side, the one named first
// goes first; a state machine that cannot end is refused.
package asl
