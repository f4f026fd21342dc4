// Package analysis judges a canary by what its users experience.
//
// It holds rules only: measurements come in as values, a verdict with its
// numbers goes out as a value. There is no clock, no log and no I/O, so the
// same intervals give the same verdict anywhere: in a Lambda, on a laptop, in a
// replay a week later.
//
// Evidence is made of raw counters per closed interval, for canary and stable
// apart, and is weighed in two ways. A [Limit] holds one number of the canary
// against a bound. A [Comparison] asks whether the canary fails more often than
// stable does, with a sequential test that may look after every interval
// without raising more false alarms: a likelihood-ratio e-process on counts,
// conditional on the share of requests that the canary really had.
//
// References: Ville's inequality; Wald, "Sequential Tests of Statistical
// Hypotheses" (1945); Lindon and Malek, "Anytime-Valid Inference for
// Multinomial Count Data" (NeurIPS 2022); Shin, Ramdas and Rinaldo,
// "E-detectors" (2024). docs/judging.md explains all of it to an engineer.
package analysis
