// Package local is a Step Functions engine for one machine: it runs state
// machines by package asl, stores them and their history, calls their
// functions in this process or at a Lambda endpoint, and offers the Step
// Functions API over HTTP.
//
// What an execution did is stored before its effects are let loose, so an
// engine that was killed goes on where it stood: waits go on, tokens stay good,
// and calls whose end is not known are made again. Functions therefore run at
// least once, as they do on AWS.
package local
