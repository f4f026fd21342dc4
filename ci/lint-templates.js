// Runs cfn-lint over the templates. A finding passes only if infra/accepted.json argues for it; an
// argument that no finding needs any more is an error too.
'use strict';
const fs = require('fs');
const path = require('path');
const { spawnSync } = require('child_process');

const [acceptedFile, ...outs] = process.argv.slice(2);
if (!acceptedFile || outs.length === 0) {
  console.error('usage: node lint-templates.js ACCEPTED_JSON CDK_OUT...');
  process.exit(2);
}
const accepted = JSON.parse(fs.readFileSync(acceptedFile, 'utf8'))['cfn-lint'];
const files = outs.flatMap((out) => fs.readdirSync(out).filter((f) => f.endsWith('.template.json')).sort().map((f) => path.join(out, f)));
if (files.length === 0) {
  console.error(`${outs.join(', ')}: no template; run "make synth" first`);
  process.exit(2);
}
// W3005 calls a DependsOn redundant where a reference already says the same: CDK writes both.
const run = spawnSync('cfn-lint', ['--format', 'json', '--ignore-checks', 'W3005', '--', ...files], { encoding: 'utf8' });
if (run.error) {
  console.error(`cfn-lint: ${run.error.code === 'ENOENT' ? 'not installed; "pip install cfn-lint==1.51.0" brings it' : run.error.message}`);
  process.exit(2);
}
let findings;
try {
  findings = JSON.parse(run.stdout);
} catch (e) {
  console.error(`cfn-lint: exit status ${run.status}: ${run.stderr || run.stdout}`);
  process.exit(2);
}
const used = new Set();
let open = 0;
for (const f of findings) {
  const a = accepted.find((x) => x.rule === f.Rule.Id && x.message === f.Message);
  if (a) {
    used.add(a);
    continue;
  }
  open++;
  console.error(`${f.Filename}:${f.Location.Start.LineNumber}: ${f.Rule.Id}: ${f.Message}`);
}
for (const a of accepted.filter((x) => !used.has(x))) {
  open++;
  console.error(`${acceptedFile}: ${a.rule} (${a.message}) is accepted and not found any more: take it out`);
}
console.log(`cfn-lint: ${files.length} templates, ${findings.length} findings, ${used.size} accepted with a reason, ${open} open`);
process.exit(open ? 1 : 0);
