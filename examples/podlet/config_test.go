package main

import (
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, args []string, env map[string]string) (config, error) {
	t.Helper()
	return parseConfig(args, func(k string) string { return env[k] })
}

func TestListenAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"port 8080 by default":                {want: ":8080"},
		"the pod's own address":               {env: map[string]string{"POD_IP": "127.77.0.5"}, want: "127.77.0.5:8080"},
		"a host that is asked for wins":       {env: map[string]string{"POD_IP": "127.77.0.5", "LISTEN": "127.0.0.1:81"}, want: "127.0.0.1:81"},
		"a flag wins over the environment":    {args: []string{"--listen", ":82"}, env: map[string]string{"LISTEN": ":81"}, want: ":82"},
		"a port alone":                        {args: []string{"--port=83"}, want: ":83"},
		"the role's port":                     {env: map[string]string{"ROLE": "appserver"}, want: ":4567"},
		"one port too high, when so asked":    {env: map[string]string{"ROLE": "appserver", "FAULT": "wrongport"}, want: ":4568"},
		"a tag asks for the wrong port":       {env: map[string]string{"VERSION": "v2_wrongport"}, want: ":8081"},
		"FAULT wins over the tag":             {env: map[string]string{"VERSION": "v2_wrongport", "FAULT": "errors-1"}, want: ":8080"},
		"IPv6 pods have brackets round hosts": {env: map[string]string{"POD_IP": "::1"}, want: "[::1]:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parse(t, append([]string{"podlet"}, tt.args...), tt.env)
			if err != nil || c.listen != tt.want {
				t.Errorf("parseConfig(%q, %v).listen = %q, %v; want %q", tt.args, tt.env, c.listen, err, tt.want)
			}
		})
	}
}

func TestRoleByProgramName(t *testing.T) {
	for program, want := range map[string]string{
		"/bin/podlet": "web", "/bin/yelb-ui": "ui", "yelb-appserver": "appserver", "yelb-db": "db",
		"redis-server": "redis", "redis": "redis", "podinfo": "podinfo", "http-echo": "http-echo",
	} {
		c, err := parse(t, []string{program}, nil)
		if err != nil || c.role.name != want {
			t.Errorf("program %q plays %q, %v; want %q", program, c.role.name, err, want)
		}
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"role":                  {map[string]string{"ROLE": "cache"}, `role: found "cache", expected web`},
		"status":                {map[string]string{"STATUS": "99"}, "status: found 99"},
		"status in words":       {map[string]string{"STATUS": "ok"}, "STATUS: "},
		"drain":                 {map[string]string{"DRAIN": "-1s"}, "DRAIN: found -1s"},
		"drain without a unit":  {map[string]string{"DRAIN": "2"}, "DRAIN: "},
		"back end":              {map[string]string{"BACKEND_URL": "yelb:4567"}, `BACKEND_URL: found "yelb:4567"`},
		"address without port":  {map[string]string{"LISTEN": "127.0.0.1"}, "LISTEN: "},
		"port name":             {map[string]string{"LISTEN": ":http"}, `LISTEN: found port "http"`},
		"fault":                 {map[string]string{"FAULT": "boom"}, `FAULT: fault "boom"`},
		"fault in the tag":      {map[string]string{"VERSION": "v1_boom"}, `tag "v1_boom"`},
		"answers of an echo":    {map[string]string{"ROLE": "db", "FAULT": "errors-5"}, "role db speaks plain TCP"},
		"admin without a port":  {map[string]string{"ADMIN_LISTEN": "9000"}, "ADMIN_LISTEN: "},
		"back end over TLS":     {map[string]string{"BACKEND_URL": "https://a"}, "expected http://HOST:PORT"},
		"negative slow start":   {map[string]string{"FAULT": "slowstart--1s"}, "slowstart: found -1s"},
		"status out of a range": {map[string]string{"STATUS": "600"}, "status: found 600"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, []string{"podlet"}, tt.env); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseConfig(%v) error = %v; want one with %q", tt.env, err, tt.want)
			}
		})
	}
}

func TestDrainDefaultsToTwoSeconds(t *testing.T) {
	c, err := parse(t, []string{"podlet"}, nil)
	if err != nil || c.drain != 2*time.Second {
		t.Errorf("drain = %v, %v; want 2s", c.drain, err)
	}
}
