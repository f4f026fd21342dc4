package asl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxRetryDelay is the largest MaxDelaySeconds and IntervalSeconds.
const (
	maxRetryDelay    = 31622400
	maxRetryInterval = 99999999
	maxAttempts      = 99999999
)

func (o *object) taskState(s *state) {
	if arn, ok := o.required("Resource"); ok {
		s.resource = o.resource(arn)
	}
	s.parameters = o.template("Parameters")
	s.resultSelector = o.template("ResultSelector")
	s.result = o.place("ResultPath", true)
	s.timeout = o.seconds("TimeoutSeconds", 1)
	s.heartbeat = o.seconds("HeartbeatSeconds", 1)
	if s.timeout.set && s.heartbeat.set && s.timeout.path == nil && s.heartbeat.path == nil && s.heartbeat.number >= s.timeout.number {
		o.add("HeartbeatSeconds", fmt.Sprintf("expected less than TimeoutSeconds, %d, found %d", s.timeout.number, s.heartbeat.number))
	}
	if s.resource.service == "lambda" && !s.resource.direct {
		o.invokeParameters(s)
	}
	o.errorHandling(s)
}

// resource reads the ARN of what a Task calls.
func (o *object) resource(arn string) resource {
	r := resource{arn: arn}
	f := strings.SplitN(arn, ":", 6)
	if len(f) < 6 || f[0] != "arn" || f[1] == "" {
		o.add("Resource", fmt.Sprintf("expected the ARN of a Lambda function or of a service integration, found %q", arn))
		return r
	}
	switch {
	case f[2] == "lambda" && strings.HasPrefix(f[5], "function:") && len(f[5]) > len("function:"):
		r.service, r.direct = "lambda", true
		return r
	case f[2] == "states" && strings.HasPrefix(f[5], "activity:"):
		o.c.add(codeUnsupported, o.path("Resource"), "an activity is not supported")
		return r
	case f[2] != "states" || f[3] != "" || f[4] != "":
		o.add("Resource", fmt.Sprintf("expected the ARN of a Lambda function or of a service integration, found %q", arn))
		return r
	}
	r.service, r.action, _ = strings.Cut(f[5], ":")
	base, callback := strings.CutSuffix(f[5], ".waitForTaskToken")
	r.callback = callback
	if base != "lambda:invoke" && !slices.Contains(o.c.integrations, base) {
		o.c.add(codeUnsupported, o.path("Resource"), fmt.Sprintf("the service integration %q is not supported; expected lambda:invoke or lambda:invoke.waitForTaskToken", f[5]))
	}
	return r
}

// invokeParameters checks the request of lambda:invoke as far as it is fixed.
func (o *object) invokeParameters(s *state) {
	p, ok := o.fields["Parameters"].(map[string]any)
	if !ok {
		o.add("Parameters", "lambda:invoke needs an object with FunctionName")
		return
	}
	for _, name := range sortedKeys(p) {
		switch plain := strings.TrimSuffix(name, ".$"); plain {
		case "FunctionName", "Payload", "Qualifier", "LogType", "ClientContext":
		case "InvocationType":
			if p[name] != "RequestResponse" {
				o.c.add(codeUnsupported, o.path("Parameters/"+name), "an InvocationType other than RequestResponse is not supported")
			}
		default:
			o.add("Parameters/"+name, fmt.Sprintf("the field '%s' is not supported by lambda:invoke", plain))
		}
	}
	_, fixed := p["FunctionName"].(string)
	_, computed := p["FunctionName.$"].(string)
	if !fixed && !computed {
		o.add("Parameters", "the field 'FunctionName' is required but was missing")
	}
}

func (o *object) parallelState(s *state) {
	branches, ok := o.list("Branches", 1)
	if !ok && !o.has("Branches") {
		o.add("", "the field 'Branches' is required but was missing")
	}
	for i, b := range branches {
		if bo, ok := o.c.object(b, fmt.Sprintf("%s/Branches/%d", o.at, i)); ok {
			s.branches = append(s.branches, o.c.machine(bo))
			bo.done("a branch")
		}
	}
	s.parameters = o.template("Parameters")
	s.resultSelector = o.template("ResultSelector")
	s.result = o.place("ResultPath", true)
	o.errorHandling(s)
}

func (o *object) mapState(s *state) {
	name := "ItemProcessor"
	switch {
	case o.has("ItemProcessor") && o.has("Iterator"):
		o.add("", "ItemProcessor and Iterator exclude each other")
	case o.has("Iterator"):
		name = "Iterator"
	case !o.has(name):
		o.add("", "the field 'ItemProcessor' is required but was missing")
	}
	if v, ok := o.take(name); ok {
		if po, ok := o.c.object(v, o.path(name)); ok {
			po.processorConfig()
			s.branches = []*machine{o.c.machine(po)}
			po.done("an item processor")
		}
	}
	s.items = o.reference("ItemsPath")
	s.parameters = o.template("Parameters")
	if s.itemSelector = o.template("ItemSelector"); s.itemSelector != nil && s.parameters != nil {
		o.add("", "ItemSelector and Parameters exclude each other")
	}
	s.maxConcurrency = o.seconds("MaxConcurrency", 0)
	s.resultSelector = o.template("ResultSelector")
	s.result = o.place("ResultPath", true)
	o.errorHandling(s)
}

func (o *object) processorConfig() {
	v, ok := o.take("ProcessorConfig")
	if !ok {
		return
	}
	config, ok := o.c.object(v, o.path("ProcessorConfig"))
	if !ok {
		return
	}
	switch mode, ok := config.string("Mode"); {
	case !ok, mode == "INLINE":
	case mode == "DISTRIBUTED":
		o.c.add(codeUnsupported, config.path("Mode"), "the Map mode DISTRIBUTED is not supported")
	default:
		config.add("Mode", fmt.Sprintf("expected INLINE, found %s", mode))
	}
	config.done("ProcessorConfig")
}

// errorHandling reads Retry and Catch.
func (o *object) errorHandling(s *state) {
	retries, _ := o.list("Retry", 0)
	for i, v := range retries {
		if ro, ok := o.c.object(v, fmt.Sprintf("%s/Retry/%d", o.at, i)); ok {
			s.retry = append(s.retry, ro.retrier(i == len(retries)-1))
		}
	}
	catches, _ := o.list("Catch", 0)
	for i, v := range catches {
		if co, ok := o.c.object(v, fmt.Sprintf("%s/Catch/%d", o.at, i)); ok {
			k := catcher{errors: co.errorNames(i == len(catches)-1), result: co.place("ResultPath", true)}
			k.next, _ = co.required("Next")
			co.done("a catcher")
			s.catch = append(s.catch, k)
		}
	}
}

func (o *object) retrier(last bool) retrier {
	r := retrier{errors: o.errorNames(last), interval: 1, maxAttempts: 3, backoff: 2}
	if n, ok := o.integer("IntervalSeconds", 1, maxRetryInterval); ok {
		r.interval = float64(n)
	}
	if n, ok := o.integer("MaxAttempts", 0, maxAttempts); ok {
		r.maxAttempts = n
	}
	if v, ok := o.take("BackoffRate"); ok {
		n, _ := v.(json.Number)
		f, err := n.Float64()
		if err != nil || f < 1 {
			o.add("BackoffRate", fmt.Sprintf("expected a number of 1 or more, found %s", encode(v)))
		}
		r.backoff = f
	}
	if n, ok := o.integer("MaxDelaySeconds", 1, maxRetryDelay); ok {
		r.maxDelay = float64(n)
		if r.maxDelay <= r.interval {
			o.add("MaxDelaySeconds", fmt.Sprintf("expected more than IntervalSeconds, %v, found %d", r.interval, n))
		}
	}
	if j, ok := o.string("JitterStrategy"); ok {
		r.fullJitter = j == "FULL"
		if j != "FULL" && j != "NONE" {
			o.add("JitterStrategy", fmt.Sprintf("expected FULL or NONE, found %s", j))
		}
	}
	o.done("a retrier")
	return r
}

// knownErrors are the names that begin with States.
var knownErrors = []string{
	allErrors, "States.BranchFailed", "States.DataLimitExceeded", "States.ExceedToleratedFailureThreshold",
	"States.HeartbeatTimeout", "States.Http.Socket", "States.IntrinsicFailure", "States.ItemReaderFailed",
	"States.NoChoiceMatched", "States.ParameterPathFailure", "States.Permissions", "States.QueryEvaluationError",
	"States.ResultPathMatchFailure", "States.ResultWriterFailed", "States.Runtime", "States.TaskFailed", "States.Timeout",
}

func (o *object) errorNames(last bool) []string {
	l, ok := o.list("ErrorEquals", 1)
	if !ok && !o.has("ErrorEquals") {
		o.add("", "the field 'ErrorEquals' is required but was missing")
	}
	var names []string
	for i, v := range l {
		name, ok := v.(string)
		at := fmt.Sprintf("ErrorEquals/%d", i)
		switch {
		case !ok || name == "":
			o.add(at, fmt.Sprintf("expected an error's name, found %s", encode(v)))
		case strings.HasPrefix(name, "States.") && !slices.Contains(knownErrors, name):
			o.add(at, fmt.Sprintf("there is no error %s", name))
		case name == allErrors && (len(l) > 1 || !last):
			o.add(at, "States.ALL must be alone, and in the last one of its list")
		}
		names = append(names, name)
	}
	return names
}

// template takes Parameters, ResultSelector or ItemSelector.
func (o *object) template(field string) *template {
	v, ok := o.take(field)
	if !ok {
		return nil
	}
	if _, isObject := v.(map[string]any); !isObject && field == "ResultSelector" {
		o.add(field, fmt.Sprintf("expected an object, found %s", typeName(v)))
	}
	return o.subTemplate(field, v)
}

func (o *object) subTemplate(at string, v any) *template {
	t := &template{literal: v}
	switch v := v.(type) {
	case map[string]any:
		parts, computed := map[string]*template{}, false
		for _, k := range sortedKeys(v) {
			name, isExpr := strings.CutSuffix(k, ".$")
			if _, twice := parts[name]; twice {
				o.add(at+"/"+k, fmt.Sprintf("the field '%s' is there with and without .$", name))
			}
			if !isExpr {
				parts[k] = o.subTemplate(at+"/"+k, v[k])
				computed = computed || !parts[k].constant()
				continue
			}
			parts[name] = &template{compute: o.expression(at+"/"+k, v[k]), field: k}
			computed = true
		}
		if computed {
			t.object = parts
		}
	case []any:
		parts, computed := make([]*template, len(v)), false
		for i, x := range v {
			parts[i] = o.subTemplate(fmt.Sprintf("%s/%d", at, i), x)
			computed = computed || !parts[i].constant()
		}
		if computed {
			t.list = parts
		}
	}
	return t
}

func (o *object) expression(at string, v any) *expression {
	s, ok := v.(string)
	if !ok {
		o.add(at, fmt.Sprintf("The value for the field must be a string that is a path or an intrinsic function, found %s", typeName(v)))
		return nil
	}
	e, err := parseExpression(s)
	if err != nil {
		o.add(at, err.Error())
	}
	return e
}
