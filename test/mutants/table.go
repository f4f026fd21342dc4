package main

// Places that several mutants share.
const (
	machine = "statemachine/rollout.asl.json"
	health  = "internal/step/health.go"
	measure = "internal/step/measure.go"
	ready   = "internal/step/ready.go"
	back    = "internal/step/rollback.go"
	gates   = "internal/step/gates.go"
	promote = "internal/step/promote.go"
	prepare = "internal/step/prepare.go"
	queue   = "internal/step/queue.go"
	stable  = "internal/step/stable.go"
	deploy  = "internal/step/deploy.go"
	object  = "internal/traffic/object/object.go"
	write   = "internal/traffic/object/write.go"
	rules   = "internal/rollout/next.go"

	flow    = "test/flow"
	objects = "internal/traffic/object"
	search  = "test/safety"
)

// table lists the mutants, by promise.
var table = []Mutant{
	{"the lock is not checked", "internal/step/ports.go", "",
		"if rec.Holder == ro.Execution && rec.Epoch == ro.Epoch {", "if true {", "6", flow, "TestWhoComesTooLateIsTurnedAway"},
	{"the lock's epoch is not compared", "internal/step/ports.go", "",
		" && rec.Epoch == ro.Epoch {", " {", "6", flow, "TestALockOfAnotherEpochIsAnotherLock"},
	{"a running owner's lock is taken", queue, "look up the lock's owner", "if !ended {", "if !ended && false {", "6", flow, "TestOfAHundredStartsAtOnceOneRuns"},
	{"whoever looks first has the turn", queue, "", "range rec.Ahead(ro.Execution) {", "range rec.Ahead(ro.Execution)[:0] {", "6", flow, "TestWhoDoesNotGetATurn"},
	{"whoever came last has the turn", "internal/record/record.go", "", "append(slices.Clone(r.Queue), execution)", "append([]string{execution}, r.Queue...)", "6", flow, "TestStartsThatQueueHaveTheirTurnInOrder"},
	{"the dead hold the queue up", queue, "which waits for the lock: %w", "if !ended {", "if !ended || true {", "6", flow, "TestTheDeadDoNotHoldTheQueueUp"},
	{"waiting has no end", queue, "", "case waited >= queue:", "case waited >= 1000*queue:", "6", flow, "TestWhoDoesNotGetATurn"},
	{"whoever loses the race for a place in the queue is lost", prepare, "", "if doc.Queue > 0 {", "if false {", "6", flow, "TestWhoLosesTheRaceForAPlaceInTheQueueIsNotLost"},
	{"a dead owner's lock is taken without the way back", prepare, "",
		"if _, err := recover.settle(ctx, access, ro.Service, rec, \"its owner ended without giving the lock back\"); err != nil {",
		"if err := error(nil); err != nil {\n\t\t_ = recover", "6", flow, "TestADeadOwnersLockIsTakenOverAfterItsWayBack"},
	{"a freeze is not heeded", prepare, "", "if rec.Freeze.Lasts(s.Clock.Now()) {", "if false {", "6", flow, "TestFreezes/of_the_service"},
	{"a namespace's freeze is not heeded", prepare, "", "if whole.Freeze.Lasts(s.Clock.Now()) {", "if false {", "6", flow, "TestFreezes/of_the_namespace"},
	{"a freeze is without end", "internal/record/record.go", "", "return f.Until.After(now)", "return !f.Until.IsZero()", "6", flow, "TestFreezes"},
	{"the epoch is not raised", prepare, "", "\trec.Epoch++\n", "", "6", flow, "TestARolloutAfterARollbackGetsANewNumber"},
	{"a version number is used again", prepare, "",
		"number := max(rec.Number, ro.Stable.Number)\n", "number := ro.Stable.Number\n", "7", flow, "TestARolloutAfterARollbackGetsANewNumber"},
	{"a leftover's number is used again", prepare, "", "number = max(number, v.Number)", "_ = v", "7", flow, "TestADeletedLeaseOfARolloutThatEnded"},
	{"the record is written whatever it says now", "internal/record/memory/memory.go", "",
		"have != rec.Revision {", "have != rec.Revision && false {", "6", "internal/record/memory", "TestRecords"},
	{"the Lease is written whatever it says now", "internal/kube/records.go", "",
		`lease["metadata"].(map[string]any)["resourceVersion"] = rec.Revision`, "", "6", "internal/kube", "TestALeaseIsWrittenFromTheRevisionThatWasRead"},

	{"the route's fence is not compared", object, "", "if f.Before(fence) {", "if f.Before(fence) && false {", "6", objects, "TestAnOlderFenceIsTurnedAway"},
	{"the route's fence is not compared, in memory", "internal/traffic/memory/memory.go", "",
		"if f.Before(rt.fence) {", "if false {", "6", "internal/traffic/memory", "TestRouter"},
	{"the fence is not written", object, "", "p.Annotate(o, Fence, f.String())", "_ = p", "6", objects, "TestWhatIsWritten"},

	{"a first deployment is entered before it is ready", deploy, "", "\tobjects, entrance = apart(objects)\n", "\t_, entrance = apart(objects)\n", "3", flow, "TestAFirstDeploymentIsEnteredWhenItIsReady"},
	{"a late entrance is opened", ready, "", "_, _, err := holding(ctx, w.Open, &w.ro); err != nil {", "_, _, err := holding(ctx, w.Open, &w.ro); false && err != nil {", "6", flow, "TestALateEntranceStaysShut"},
	{"a route that is away means a first deployment", stable, "", "return found{}, s.routeless(ctx, access, ro, rec, versions)", "return found{}, nil", "5", flow, "TestAServiceIsNotForgottenWithItsRoute"},
	{"a version that was adopted is forgotten with its route", stable, "", "there = gone == \"\"", "_ = gone", "5", flow, "TestAnAdoptedVersionIsNotForgottenWithItsRoute"},
	{"a slip in the route's name is taken for an adopted service's end", stable, "", "rec.Stable.Ours && !names(versions, rec.Stable.Name) {", "!names(versions, rec.Stable.Name) {", "5", flow, "TestAnAdoptedVersionIsNotForgottenWithItsRoute"},
	{"the rule says that nothing was moved", "internal/step/rollback.go", "", `ev.State != "Rollback" || `, "", "1", flow, "TestAStoppedRolloutWhoseClusterIsAwayDoesNotSayThatNothingMoved"},
	{"a slip in the route's name is taken for another service", stable, "", "if state.Weights[rec.Stable.Name] == 0 {", "if state.Weights[rec.Stable.Name] == 0 || true {", "5", flow, "TestAServiceIsNotForgottenWithItsRoute"},
	{"a lock that was lost is not taken back", back, "", "if !mine {", "if !mine || mine {", "1", flow, "TestALeaseThatIsLostMidwayIsRegained"},
	{"a lock that another rollout took is taken back", "internal/step/regain.go", "", "if rec.Epoch > lost.Epoch {", "if false {", "6", flow, "TestALockThatAnotherOneTookIsNotRegained"},
	{"a lock that was lost after the last write is taken back for the way back", "internal/step/regain.go", "", "state.Fence.Seq > rollout.Last {", "state.Fence.Seq > rollout.Last && false {", "1", flow, "TestALeaseThatIsLostAfterTheLastWriteLeavesUsersWhereTheyAre"},
	{"what the record knows of a lost lock is forgotten", "internal/step/regain.go", "", "rec.Canary.Rollout == ev.Execution {", "rec.Canary.Rollout == ev.Execution && false {", "1", flow, "TestAPromotionWhoseHolderIsEmptiedIsFinished"},
	{"whose holder was emptied is taken for ended", prepare, "", "rec.Holder = rec.Canary.Rollout //", "_ = rec.Canary.Rollout //", "6", flow, "TestAnEmptiedHolderLetsNobodyIn"},
	{"whose Lease was deleted is taken for ended", queue, "which brought up %s: %w", "if !ended {", "if !ended && false {", "6", flow, "TestADeletedLeaseLetsNobodyIn"},
	{"the mark of a rollout under way is not seen", stable, "", "if state.Fence.Seq < rollout.Last {", "if state.Fence.Seq < 0 {", "1", flow, "TestADeletedLeaseOfARolloutThatEnded"},
	{"an end that is not in force counts", stable, "", "if !state.InForce {", "if false {", "5", flow, "TestADeletedLeaseOfARolloutThatEnded"},
	{"the route's fence is forgotten with the Lease", prepare, "", "rec.Epoch = max(rec.Epoch, now.fence.Epoch)", "_ = now.fence", "6", flow, "TestALeaseThatIsDeletedBetweenRollouts"},
	{"a promotion does not see users off the old version", promote, "", "if err := f.settleOn(ctx, router, rec); err != nil {",
		"if err := router.Settle(ctx, f.route(rec), now.Name, old.Name, rec.Fence(lastOf(rec))); err != nil {", "5", flow, "TestNothingIsRemovedThatGotUsersBackInTheDrain"},
	{"that users stay is not written down", back, "", "rec.Phase = record.Staying\n", "_ = record.Staying\n", "1", flow, "TestATwinDoesNotUndoThatUsersStay"},
	{"a person's lock is taken", queue, "", "if account(rec.Holder) != account(ro.Execution) {", "if false {", "6", flow, "TestALockOfSomebodyElseIsNotTaken"},
	{"an abort waits for a state that listens", "cmd/stepcanary/operate.go", "", "return abortWithin", "return tokenWithin", "1", "cmd/stepcanary", "TestAnAbortDoesNotWaitForARouterThatIsDeaf"},
	{"a rollback does not wait until users have gone", back, "await the way back on %s: %w\", rec.Route, err)\n\t}\n",
		"if !state.InForce {", "if false {", "1", flow, "TestUsersAreSeenBackBeforeTheEnd"},
	{"a rollback removes stable", back, "", "f.access.Cluster.Remove(ctx, f.service, rec.Canary)",
		"f.access.Cluster.Remove(ctx, f.service, rec.Stable)", "5", flow, "TestNothingIsRemovedWhileUsersAreOnIt"},
	{"a rollback goes to a stable version without pods", back, "", "if err != nil || stable.Ready > 0 {", "if true {", "1", flow, "TestAStableVersionWithoutPodsIsNotGoneBackTo"},
	{"users are given to a canary that is as dead as stable", back, "", "if err != nil || canary.Ready == 0 {", "if err != nil {", "1", flow, "TestWhereNeitherVersionHasPodsUsersGoToStable"},
	{"the way back undoes a promotion", back, "defaultDrain)\n}\n\nfunc (s Rollback) settleWithin", "if rec.Phase == record.Promoted {", "if false {",
		"1", flow, "TestAStoppedPromotionIsFinished"},
	{"the way back of an ended rollout acts", back, "", "if rec.Holder != ev.Execution {", "if false {", "1", flow, "TestWhoComesTooLateIsTurnedAway"},
	{"the rule on ended executions is not run", "internal/engine/engine.go", "", "_, err = rollback(ctx, event)", "_ = event", "1", flow, "TestNonsenseInATokenGoesBack"},
	{"a promotion is recorded only at its end", promote, "", "if rec.Phase != record.Promoted {", "if false {", "5", flow, "TestNothingIsRemovedWhileUsersAreOnIt"},
	{"a promotion undoes the way back", promote, "", "if rec.Phase == record.RolledBack || rec.Phase == record.Staying {", "if false {", "1", flow, "TestAPromotionDoesNotUndoTheWayBack"},
	{"a promotion undoes that users stay", promote, "", " || rec.Phase == record.Staying {", " {", "1", flow, "TestAPromotionDoesNotUndoTheWayBack"},
	{"a promotion does not drain", promote, "", "f.Now().Add(f.drain)", "f.Now()", "5", flow, "TestNothingIsRemovedWhileUsersAreOnIt"},
	{"a canary that dies in the drain is promoted", promote, "", "case st.Fatal || st.Desired > 0 && st.Ready == 0:", "case false:", "1", flow, "TestACanaryThatDiesInTheDrain"},
	{"the only version that serves is removed", promote, "", "if err := f.spare(ctx, old, now); err != nil {", "if err := error(nil); err != nil {", "5", flow, "TestTheOnlyVersionThatServesIsNotRemoved"},
	{"a rollback does not drain", back, "", "f.Sleep(ctx, f.drain)", "f.Sleep(ctx, 0)", "5", flow, "TestNothingIsRemovedWhileUsersAreOnIt"},
	{"a late deployment takes the stable version back", deploy, "",
		"if rec.Stable.Name == ro.Canary.Name || rec.Canary.Name == ro.Canary.Name {", "if rec.Holder == ro.Canary.Name {", "5", flow, "TestALateDeploymentTakesBackItsOwnAlone"},
	{"a late deployment leaves what it applied", deploy, "", "if errors.Is(err, fault.Fenced) {", "if false {", "7", flow, "TestALateDeploymentTakesBackItsOwnAlone"},

	{"weight is given before the pods are ready", ready, "", "case st.Available():", "case true:", "3", flow, "TestPaths/never_ready"},
	{"weight is given before the pods are ready, by the search", ready, "", "case st.Available():", "case true:", "3", search, "TestSingles"},
	{"a pod that will never start is waited for", ready, "", "case st.Fatal:", "case false:", "3", flow, "TestWhatWillNeverStartIsNotWaitedFor"},
	{"a crash loop at a weight is not seen", health, "func (w *watcher) broken() string {", "st := w.out.Status", "st := workload.Status{}", "3", flow, "TestPaths/a_crash_loop"},
	{"a weight counts before it is in force", "internal/step/shift.go", "", "if !state.InForce {", "if false {", "4", flow, "TestPaths/a_router_that_never_converges"},
	{"a weight counts before it is in force, by the search", "internal/step/shift.go", "", "if !state.InForce {", "if false {", "4", search, "TestSingles"},
	{"the judged window begins before the shift", measure, "", "since := w.shift.Since\n", "since := w.shift.Since.Add(-time.Minute)\n", "4", flow, "TestTheJudgedWindowBeginsWithTheShift"},
	{"the source's lag is not waited for", "internal/metric/window.go", "", "now.Add(-p.Lag).Sub(since)", "now.Sub(since)", "4", flow, "TestTheJudgedWindowBeginsWithTheShift"},

	{"inconclusive is taken for healthy", rules, "func (p Plan) undecided(l Look) string {\n", "\tswitch {", "\tif true {\n\t\treturn \"\"\n\t}\n\tswitch {",
		"2", flow, "TestPaths/no_traffic_is_never_promoted"},
	{"a metrics source that is down is taken for healthy", measure, "", "w.out.Judgement.Verdict = analysis.Inconclusive",
		"w.out.Judgement.Verdict, w.out.Judgement.Enough = analysis.Healthy, true", "2", flow, "TestPaths/a_metrics_source_that_is_down_is_never_a_pass"},
	{"a metrics source that is down is taken for healthy, by the search", measure, "", "w.out.Judgement.Verdict = analysis.Inconclusive",
		"w.out.Judgement.Verdict, w.out.Judgement.Enough = analysis.Healthy, true", "2", search, "TestSingles"},
	{"what nothing can judge is rolled out", prepare, "", "if err := doc.Judgeable(tmpl); err != nil {", "if err := error(nil); err != nil {\n\t\t_ = tmpl", "2", flow, "TestAServiceThatNothingCanJudge"},
	{"a bad verdict is forgotten at the next look", "internal/analysis/judge.go", "", "if s.Failed != nil {\n\t\tj.Verdict = Unhealthy", "if false {\n\t\tj.Verdict = Unhealthy",
		"2", "internal/analysis", "TestUnhealthyStays|TestFailedLimitStaysInTheNextStep"},
	{"a bad verdict is forgotten in the next step", "internal/analysis/state.go", "", "Processes: s.Processes, Failed: s.Failed,", "Processes: s.Processes,",
		"2", "internal/analysis", "TestFailedLimitStaysInTheNextStep"},
	{"an unhealthy canary goes on", rules, "", "if l.Verdict == analysis.Unhealthy {", "if false {", "2", flow, "TestFirstDeployments"},
	{"a pause without end", rules, "", "if left <= 0 {\n\t\t\treturn back", "if false {\n\t\t\treturn back", "1", flow, "TestAPauseThatNobodyEndsGoesBack"},

	{"a gate that keeps silent is taken for open", "internal/rollout/gate.go", "", "\t\tcase Yes:\n", "\t\tcase Yes, NoWord:\n", "2", flow, "TestGatePaths/a_gate_whose_server_fails"},
	{"a gate's no is taken for a yes", gates, "", "said.Word = rollout.No\n", "said.Word = rollout.Yes\n", "2", flow, "TestGatePaths/a_gate_refuses"},
	{"a gate that has not made up its mind is taken for open", "internal/rollout/gate.go", "", "\t\tcase Yes:\n", "\t\tcase Yes, NotYet:\n", "2", search, "TestSingles"},
	{"the gates before promotion are not asked", health, "", "return hook.PrePromotion, 100", "return hook.PreRollout, 100", "2", search, "TestSingles"},
	{"promote-now passes the gates before promotion", "internal/rollout/gate.go", "", "if len(waits) == 0 || l.Waived {", "if len(waits) == 0 || l.Waived || l.Promote {",
		"2", search, "TestSingles"},
	{"an earlier word is taken for one about a silent gate", ready, "", "if !ok || id == w.out.Seen {", "if !ok {", "2", flow, "TestAnEarlierWordIsNoneAboutAGate"},
	{"a gate's own trouble is taken for a bad canary", gates, "", "said.Word, said.Reason = rollout.NoWord, trouble(err)", "said.Word, said.Reason = rollout.No, trouble(err)",
		"2", flow, "TestGatePaths/a_gate_whose_server_fails"},
	{"weight is given before the first gate has opened", ready, "", "Reason: ready, Gates: w.gates.gateWords(), ", "Reason: ready, ",
		"3", flow, "TestAGateIsAskedBeforeAnyWeight"},
	{"a rollout that is watched waits for a slow gate", health, "d := w.decide()", "w.gates.ask()", "w.gates.ask()\n\t\t\t_ = w.Clock.Sleep(ctx, askFor)", "3", flow, "TestASlowGateHidesNoCrash"},
	{"a canary begins larger than its autoscaler allows", deploy, "", "doc.Autoscaler.Within(ro.Stable.Replicas)", "ro.Stable.Replicas", "5", flow, "TestAnAutoscalerComesAndGoesWithItsVersion"},
	{"a start is told twice", prepare, "ro.Epoch, ro.Canary, ro.Started = rec.Epoch, rec.Canary, rec.Acquired", "if !again {", "if true || again {", "7", flow, "TestAStartIsToldOnce"},

	{"a weight of zero is left out", write, "", "!explicit || have != weight {", "weight != 0 && (!explicit || have != weight) {", "8", objects, "TestWhatIsWritten"},
	{"settling drops the version that is kept", write, "r.weigh(p, m.canary, m.canaryWeight)\n\tif m.stable >= 0 {", "m.stable", "m.canary", "1", objects, "TestWhatIsWritten"},
	{"settling drops the version that is kept, in memory", "internal/traffic/memory/desire.go", "", "delete(d.weights, drop)\n\td.weights[keep]", "delete(d.weights, keep)\n\td.weights[drop]",
		"1", "internal/traffic/memory", "TestRouter"},
	{"a person's filters on a back end are dropped", write, "", `p.Set(weight, r.path(strconv.Itoa(at), "weight")...)`,
		`p.Set(map[string]any{"name": ref["name"], "port": ref["port"], "weight": weight}, r.path(strconv.Itoa(at))...)`,
		"8", objects, "TestWhatIsWritten"},
	{"what others have on the rule is taken from them", "internal/traffic/object/share.go", "", "case others == 0:", "case true:", "8", flow, "TestATeamsRouteSurvivesAWholeRollout"},
	{"match rules stay when the rollout has ended", object, "", "if r.Clean != nil {", "if false {", "8", flow, "TestATeamsRouteSurvivesAWholeRollout"},
	{"match rules are not written", ready, "", "can && len(ro.Match) > 0 {", "can && false {", "8", flow, "TestChosenRequestsReachTheCanary"},
	{"a route is awaited for its whole deadline in one look", ready, "", "min(patience, earlier(deadline, w.end).Sub(w.Clock.Now()))", "deadline.Sub(w.Clock.Now())", "3", flow, "TestPaths"},
	{"a route's deadline begins anew with each look", ready, "", "if w.out.Awaited.IsZero() {", "if true {", "3", flow, "TestPaths"},
	{"somebody else on the route stands in the way", "internal/step/stable.go", "", "case owns(ro.Service, rec, versions, name):", "case true:", "8", flow, "TestOthersOnTheRouteKeepTheirShare"},
	{"a Service that selects the new pods too is rolled out beside", prepare, "", "if err := apartFrom(ro.Stable, objects); err != nil {", "if err := error(nil); err != nil {", "3", flow, "TestAServiceThatWouldSelectTheNewPodsIsNotRolledOutBeside"},
	{"what serves behind the shared Service is a leftover", stable, "", "err == nil && out.stable.Ours {", "false {", "5", flow, "TestARouteOverTheSharedServiceIsRefused"},
	{"a split that people made is rolled out over", "internal/step/stable.go", "", "case len(own) > 1:", "case false:", "8", flow, "TestARouteThatPeopleSplitIsRefused"},
	{"an adopted version is removed", promote, "", `if old.Name != "" && old.Ours {`, `if old.Name != "" {`, "8", flow, "TestAnAdoptedVersionIsLeftInPlace"},
	{"a late start takes the lock", prepare, "", "if ended || rec.Last.Execution == ro.Execution {", "if ended && false {", "6", flow, "TestALateStartDoesNotTakeTheLock"},
	{"who was stopped in its recovery takes the lock", prepare, "", "if err := s.runs(ctx, ro, rec); err != nil {", "if err := s.runs(ctx, ro, rec); err != nil && rec.Last.Outcome != OutcomeRolledBack {", "6", flow, "TestAStartThatIsStoppedInItsRecoveryTakesNoLock"},
	{"users are taken back to a promoted version without pods", back, "", "if err := f.spare(ctx, rec.Stable, rec.Canary); err != nil {", "if false {\n\t\t\tvar err error", "1", flow, "TestTheOnlyVersionThatServesIsNotRemoved"},
	{"an autoscaler's replicas are lost", deploy, "", "doc.Autoscaler.Within(ro.Stable.Replicas)", "doc.Autoscaler.Within(0)", "3", flow, "TestAnAutoscalersReplicasAreKept"},
	{"leftovers are never removed", prepare, "", "return ro, s.sweep(ctx, access, ro, versions)", "return ro, nil", "7", flow, "TestLeftoversAreRemovedByTheNextRollout"},

	{"a token that was answered first is an error", "internal/task/task.go", "", "if err != nil && !errors.Is(err, ErrAnswered) {", "if err != nil {", "7", "internal/task", "TestAFunctionAnswersItsOwnToken"},
	{"an unknown field is taken", "internal/spec/schema.go", "", `c.add(c.at(key, at.with(name).String(), "an unknown field", want))`, "_, _ = want, key", "9", "internal/spec", "TestBadDocuments"},
	{"an unknown field of the template is taken", "internal/spec/kubernetes.go", "", `case below == nil && part["additionalProperties"] == false:`, "case false:", "9", "internal/spec", "TestBadTemplates/misspelt"},
	{"a value of the wrong type is taken", "internal/spec/kubernetes.go", "", `if want := mismatch(n, part); want != "" {`, `if want := ""; want != "" {`, "9", "internal/spec", "TestBadTemplates/mistyped"},
	{"deploy.json without an image takes the lock", prepare, "", "if err := doc.Complete(\"deploy.json\"); err != nil {", "if err := error(nil); err != nil {", "9", flow, "TestBadInputIsRefusedBeforeAnythingChanges"},

	{"the cluster is not asked before the lock is taken", prepare, "", "if err := admissible(ctx, access, doc, tmpl, ro); err != nil {", "if err := error(nil); err != nil {", "9", flow, "TestWhatTheClusterWouldNotTakeIsRefusedBeforeAnythingChanges"},
	{"what counts all versions together is compared", prepare, "", "if !unscoped {", "if !unscoped || true {", "2", flow, "TestAnAncestorsFileOnTheAncestorsMetrics"},
	{"a dry run writes", "internal/kube/dryrun.go", "", "return c.write(ctx, todo, o, metav1.DryRunAll)", "_ = metav1.DryRunAll\n\treturn c.write(ctx, todo, o)", "9", "internal/kube", "TestADryRunIsNotKept"},
	{"a shared Service may lead to one version alone", "internal/spec/together.go", "", "\t\tc.selectsAll()\n", "", "3", "internal/spec", "TestBadTemplates/shared_service"},
	{"a shared Service may take users past the route", "internal/spec/judge.go", "", `(kind == "LoadBalancer" || kind == "NodePort")`, "false", "2", "internal/spec", "TestJudgeable"},
	{"the weights of another route than the template's are moved", "internal/spec/together.go", "", "\tc.ownRoute(docs, router)\n", "", "9", "internal/spec", "TestARouteBesideTheTemplatesOwnIsRefused"},
	{"deploy.json has the engine's secrets sent anywhere", "internal/metric/meters/auth.go", "", `if !c.Auth.sends() || c.Address == "" {`, "if true {", "10", "internal/metric/meters", "TestASecretGoesToAddressesThatTheEngineKnows"},

	{"an address with a zone is not looked up", "internal/egress/egress.go", "", `a.Unmap().WithZone("")`, "a.Unmap()", "10", "internal/egress", "TestCheck"},
	{"another site's page may use the local API", "internal/local/api.go", "", "if err != nil || u.Host != r.Host {", "if _ = u; err != nil {", "10", "internal/local", "TestAPIRefuses"},
	{"the local API listens to other machines", "internal/local/api.go", "", "if !at.IP.IsLoopback() {", "if false {", "10", "internal/local", "TestListenStaysOnLoopback"},

	{"a busy cluster is not tried again", machine, `"ResultPath": "$.ready",`, `"Canary.Transient"`, `"Canary.Passing"`, "7", flow, "TestPassingTroubleOfEveryCallIsBorne"},
	{"a killed function is not tried again", machine, `"ResultPath": "$.deployed",`, `"Lambda.Unknown"`, `"Lambda.Unknowable"`, "7", "statemachine", "TestPassingTroubleIsTriedAgain"},
	{"a restarted engine does not call again what was under way", "internal/local/run.go", "func (r *run) resume() {", "r.dispatch(c)", "_ = c", "7", "internal/local", "TestWaitGoesOnAfterRestart"},
	{"an event may name a step that is not there", health, "", "sh == nil || !ev.Document.Rollout.has(sh.Step)", "sh == nil", "7", search, "FuzzFunctionEvent"},
	{"a function that ran out of memory is not tried again", machine, `"ResultPath": "$.deployed",`, `"Runtime.ExitError"`, `"Runtime.Exited"`, "7", "statemachine", "TestPassingTroubleIsTriedAgain"},
	{"a task's error is not caught", machine, `"ResultPath": "$.shift",`, `"States.ALL"`, `"Canary.Unheard"`, "1", "statemachine", "TestEveryTaskLeadsBack"},
	{"the way back's failure is not caught", machine, `"MaxAttempts": 8,`, `"States.ALL"`, `"Canary.Invalid"`, "1", flow, "TestAWayBackThatFailsCallsAPerson"},
	{"a task has no time limit", machine, `"ResultPath": "$.watch",`, `"TimeoutSeconds": 180,`, "", "1", "statemachine", "TestEveryTaskHasATimeLimit"},
	{"an abort is not heard in a hold", machine, `"TimeoutSecondsPath": "$.watch.wait_seconds",`, `"States.ALL"`, `"Canary.Invalid"`, "1", "statemachine", "TestEveryTaskLeadsBack"},
	{"an abort is taken for a request in a watch", machine, `"ResultPath": "$.watch",`, `"Canary.Asked"`, `"Canary.Asked", "Canary.Aborted"`, "1", search, "TestSingles"},
}
