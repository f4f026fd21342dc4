// Package aws holds the engine's AWS side together end to end: the functions' own binaries, the state
// machine, the real aws-iam-authenticator and a real Kubernetes API server. Only what AWS alone can
// offer stands in: STS, EKS, CloudWatch, Secrets Manager, Amazon Managed Prometheus, and the
// credentials of roles. The stand-ins recompute every signature, let a role do what the synthesized
// policies grant it and nothing else, and write down what it did.
//
// scripts/e2e-aws builds the programs and runs it, by the build tag awse2e.
package aws
