// Command podlet is the sample application that Stepcanary's demo, tests and
// benchmarks roll out: a small HTTP (or TCP) service that says its version,
// exports Prometheus metrics, and misbehaves on demand.
//
// Its image name is podlet:TAG. The tag is its version (environment variable
// VERSION) and may carry faults after an underscore, so that a rollout which
// changes nothing but the image can be made bad:
//
//	podlet:v2                     a good version
//	podlet:v3_errors-20           one answer in five is a 500
//	podlet:v3_latency-300ms       every answer is 300 ms late
//	podlet:v3_errors-50_above-40  half the answers fail above 40 requests/s
//
// README.md lists the endpoints, settings and faults.
package main
