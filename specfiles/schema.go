// Package specfiles holds what a service's team writes: one folder for each
// sample service, and the JSON Schema of deploy.json, which is the reference
// for the validator, for editors and for the table in README.md.
package specfiles

import _ "embed"

// Schema is deploy.schema.json: JSON Schema, draft 2020-12. Beside the
// standard keywords it has x-expected (what an error says was expected), x-unit
// (how a string is read as a number) and x-secret (values never shown).
//
//go:embed deploy.schema.json
var Schema []byte
