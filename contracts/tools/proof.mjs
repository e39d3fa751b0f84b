// The stages of check.mjs that say how much the tests prove.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { binary, forge, root, run } from './toolchain.mjs';

/** Per cent of the lines and branches of sol/ that the tests must reach, all files together. */
const COVERAGE = { lines: 99, branches: 97 };
/** Tests that are stages of their own. */
export const APART = 'GasTest|InvariantsTest';
/** What proves `test/halmos`. It comes from PyPI, so a machine may be without it. */
const HALMOS = '0.3.3';

/** The laws after random acts. Says how often each act was refused: one that always is proves nothing. */
export function invariants() {
  const said = forge(['test', '--match-contract', 'InvariantsTest', '--json'], { fails: true });
  // Where it had to build first, it says so in front of the report.
  const report = said.trimEnd().split('\n').at(-1);
  if (!report.startsWith('{')) throw new Error(said);
  const [suite] = Object.values(JSON.parse(report));
  const laws = Object.entries(suite.test_results);
  const broken = laws.filter(([, law]) => law.status !== 'Success');
  if (broken.length > 0) throw new Error(broken.map(([name, law]) => `${name}: ${law.reason}${story(law)}`).join('\n'));
  const acts = new Map();
  for (const [, law] of laws) {
    for (const [name, { calls, discards }] of Object.entries(law.kind.Invariant.metrics)) {
      const act = name.split(':').at(-1);
      const sum = acts.get(act) ?? { calls: 0, effects: 0 };
      acts.set(act, { calls: sum.calls + calls, effects: sum.effects + calls - discards });
    }
  }
  const idle = [...acts].filter(([, { effects }]) => effects === 0).map(([act]) => act);
  if (idle.length > 0) throw new Error(`never took effect: ${idle.join(', ')}`);
  const { runs, calls } = laws[0][1].kind.Invariant;
  const table = [...acts].sort().map(([act, { calls, effects }]) => {
    return `\n  ${act.padEnd(36)}${String(calls).padStart(9)} calls, ${((100 * effects) / calls).toFixed(0).padStart(3)} % took effect`;
  });
  return `${laws.length} laws, each over ${runs} runs of ${calls / runs} acts${table.join('')}`;

  function story({ counterexample }) {
    const acts = counterexample?.Sequence?.at(-1) ?? [];
    return acts.map(({ contract_name, func_name, args }) => `\n  ${contract_name.split(':').at(-1)}.${func_name}(${args})`).join('');
  }
}

/** What of sol/ the tests reach, and the lines where something is missed. Built without the optimizer, so gas and invariants stay out. */
export function coverage() {
  const file = join(root, 'out', 'lcov.info');
  const only = ['--no-match-contract', APART, '--no-match-coverage', '^(test|node_modules)/'];
  mkdirSync(join(root, 'out'), { recursive: true });
  forge(['coverage', ...only, '--report', 'lcov', '--report-file', file]);
  const sums = { LF: 0, LH: 0, BRF: 0, BRH: 0 };
  const missed = new Map();
  let source;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, key, value] = line.match(/^(SF|LF|LH|BRF|BRH|DA|BRDA):(.*)$/) ?? [];
    if (key === 'SF') source = value;
    else if (key in sums) sums[key] += Number(value);
    else if (key && /,(0|-)$/.test(value)) missed.set(source, (missed.get(source) ?? new Set()).add(value.split(',')[0]));
  }
  const lines = (100 * sums.LH) / sums.LF;
  const branches = (100 * sums.BRH) / sums.BRF;
  const places = [...missed].map(([source, at]) => `\n  ${source} ${[...at].sort((a, b) => a - b).join(' ')}`);
  const said = `lines ${lines.toFixed(1)} %, branches ${branches.toFixed(1)} %${places.join('')}`;
  if (!(lines >= COVERAGE.lines && branches >= COVERAGE.branches)) {
    throw new Error(`below ${COVERAGE.lines} % and ${COVERAGE.branches} %: ${said}`);
  }
  return said;
}

/** Rules that hold for all words and amounts there are, proved rather than tried; left out where there is no halmos. */
export function halmos() {
  const { error, stdout } = spawnSync('halmos', ['--version'], { encoding: 'utf8' });
  if (error) return `skipped: no halmos on the PATH (pip install halmos==${HALMOS})`;
  if (!stdout.includes(HALMOS)) return `skipped: ${stdout.trim()} on the PATH (pip install halmos==${HALMOS})`;
  // It builds by itself, with syntax trees, thus apart; and reads mappings wherever their namespace puts them.
  const path = [dirname(binary('forge')), process.env.PATH].join(delimiter);
  const env = { ...process.env, FOUNDRY_PROFILE: 'halmos', PATH: path };
  const build = ['--root', '.', '--forge-build-out', 'out/halmos', '--no-status', '--storage-layout', 'generic'];
  const said = run('halmos', [...build, '--match-contract', 'Proof'], { env, fails: true });
  const results = [...said.matchAll(/Symbolic test result: (\d+) passed; (\d+) failed/g)];
  const [passed, failed] = [1, 2].map((at) => results.reduce((sum, result) => sum + Number(result[at]), 0));
  if (failed > 0 || passed === 0) throw new Error(said);
  return `${passed} rules proved`;
}
