// Checks the templates with the AwsSolutions rules of cdk-nag. A finding passes only if
// infra/accepted.json argues for it; an argument that no finding needs any more is an error too.
'use strict';
const fs = require('fs');
const path = require('path');
const { App, Aspects, DefaultStackSynthesizer, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks } = require('cdk-nag');

const [acceptedFile, ...outs] = process.argv.slice(2);
if (!acceptedFile || outs.length === 0) {
  console.error('usage: node nag.js ACCEPTED_JSON CDK_OUT...');
  process.exit(2);
}
const accepted = JSON.parse(fs.readFileSync(acceptedFile, 'utf8'));
const used = new Set();

// reasonFor finds the argument for a finding: one for its rule and resource, or, where it is about
// a wildcard in a policy, the one for that wildcard.
function reasonFor(rule, id) {
  const wildcard = /^AwsSolutions-IAM5\[Resource::(.*)\]$/.exec(rule);
  const list = wildcard ? accepted.wildcards : accepted.nag;
  const found = list.filter((a) =>
    wildcard ? new RegExp(`^${a.resource}$`).test(wildcard[1]) : a.rule === rule && new RegExp(`^${a.resource}$`).test(id));
  found.forEach((a) => used.add(a));
  return found.length > 0;
}

class Findings {
  constructor() { this.list = []; }
  onNonCompliance(d) { this.list.push({ rule: d.ruleId + (d.findingId ? `[${d.findingId}]` : ''), id: d.resource.logicalId, info: d.ruleInfo }); }
  onCompliance() {}
  onSuppressed() {}
  onError(d) { this.list.push({ rule: 'rule did not run: ' + d.ruleId, id: d.resource.logicalId, info: d.errorMessage }); }
  onNotApplicable() {}
}

function check(file) {
  const app = new App({ outdir: fs.mkdtempSync(path.join(require('os').tmpdir(), 'nag-')) });
  const stack = new Stack(app, 'Checked', { synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) });
  new CfnInclude(stack, 'Template', { templateFile: file });
  const findings = new Findings();
  Aspects.of(app).add(new AwsSolutionsChecks({ reports: false, additionalLoggers: [findings] }));
  app.synth();
  return findings.list.map((f) => ({ ...f, id: stack.resolve(f.id) }));
}

let open = 0;
let all = 0;
const files = outs.flatMap((out) => fs.readdirSync(out).filter((f) => f.endsWith('.template.json')).sort().map((f) => path.join(out, f)));
if (files.length === 0) {
  console.error(`${outs.join(', ')}: no template; run "make synth" first`);
  process.exit(2);
}
for (const file of files) {
  for (const f of check(file)) {
    all++;
    if (!reasonFor(f.rule, f.id)) {
      open++;
      console.error(`${file}: ${f.id}: ${f.rule}: ${f.info}`);
    }
  }
}
for (const a of [...accepted.wildcards, ...accepted.nag].filter((x) => !used.has(x))) {
  open++;
  console.error(`${acceptedFile}: ${a.rule || a.sid} on ${a.resource} is accepted and not found any more: take it out`);
}
console.log(`cdk-nag: ${files.length} templates, ${all} findings, ${all - open} accepted with a reason, ${open} open`);
process.exit(open ? 1 : 0);
