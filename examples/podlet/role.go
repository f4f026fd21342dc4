package main

import (
	"strings"
)

// A role is one of the samples that podlet stands in for.
type role struct {
	name string
	port int  // default port, that of the sample it plays
	tcp  bool // speaks plain TCP (an echo), not HTTP
}

var roles = map[string]role{
	"web":       {name: "web", port: 8080},
	"ui":        {name: "ui", port: 80},
	"appserver": {name: "appserver", port: 4567},
	"db":        {name: "db", port: 5432, tcp: true},
	"redis":     {name: "redis", port: 6379, tcp: true},
	"podinfo":   {name: "podinfo", port: 9898},
	"http-echo": {name: "http-echo", port: 5678},
}

// roleOf guesses a role from the program's name, so that a link such as
// yelb-appserver -> podlet plays the right part without any setting.
func roleOf(program string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(program, "yelb-"), "-server")
	if _, ok := roles[name]; ok {
		return name
	}
	return "web"
}
