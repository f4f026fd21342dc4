package local

// PackEvents and UnpackEvents are for the fuzz test.
var (
	PackEvents   = packEvents
	UnpackEvents = unpackEvents
)
