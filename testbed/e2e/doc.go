// Package e2e holds the tests that need a running bed: that it behaves as the
// cluster it stands for in everything that the engine relies on.
//
// They run the programs in bin/, which testbed/build.sh builds; another
// directory is named by TESTBED_PROGRAMS. They wait for real events, so each
// has a deadline and none asserts how fast something is; how fast things are
// is for the benchmarks.
package e2e
