#!/usr/bin/env node
// Breaks the sources one by one and asks whether the tests notice:
//   node tools/mutants.mjs            all of tools/mutants.json, some ten seconds each
//   node tools/mutants.mjs Listing …  only those of these sources
// Each is one replacement in a source of a copy of the project; the tests named with it run on that. Prints who survived,
// and ends with 1 if any did. Nothing of this folder is touched.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { binary, install, root } from './toolchain.mjs';

/** Fuzz runs: what is not noticed in so many is not noticed. */
const RUNS = '64';
/** Builds fast, and only what a mutant changes: the tests look up what they deploy. */
const env = { ...process.env, FOUNDRY_OPTIMIZER: 'false', FOUNDRY_DYNAMIC_TEST_LINKING: 'true' };

install();
const asked = process.argv.slice(2);
const groups = JSON.parse(readFileSync(join(root, 'tools', 'mutants.json'), 'utf8'));
const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const name of ['sol', 'test', 'vectors', 'artifacts', 'tools', 'foundry.toml']) {
  cpSync(join(root, name), join(copy, name), { recursive: true });
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
mkdirSync(join(copy, 'out'));

const chosen = groups.filter(({ source }) => asked.length === 0 || asked.includes(basename(source, '.sol')));
// The tests pass on what is not broken, or nothing that follows says anything.
if (run([...new Set(chosen.flatMap(({ tests }) => tests))]).killed) throw new Error('the tests fail without any mutant');

const survivors = [];
let made = 0;
for (const { source, tests, mutants } of chosen) {
  const file = join(copy, source);
  const whole = readFileSync(file, 'utf8');
  for (const [from, to] of mutants) {
    const places = whole.split(from).length - 1;
    if (places !== 1) throw new Error(`${source}: ${places} places say: ${from}`);
    writeFileSync(file, whole.replace(from, () => to));
    const { killed, by } = run(tests);
    made += 1;
    if (!killed) survivors.push(`${source}: ${from}  ->  ${to}`);
    console.log(`${killed ? 'killed  ' : 'SURVIVED'} ${source}: ${from.trim()}  ->  ${to.trim() || '(nothing)'}${by}`);
  }
  writeFileSync(file, whole);
}
console.log(`mutants: ${made - survivors.length} of ${made} killed`);
for (const survivor of survivors) console.log(`  survived ${survivor}`);
process.exit(survivors.length > 0 ? 1 : 0);

/** Whether the tests fail, and which one first. A source that does not compile is a mistake of the list. */
function run(tests) {
  const args = ['test', '--match-path', `test/{${tests.join(',')}}.t.sol`, '--fail-fast', '--fuzz-runs', RUNS];
  const { status, stdout, stderr, error } = spawnSync(binary('forge'), args, { cwd: copy, env, encoding: 'utf8' });
  if (error) throw error;
  if (!/tests? passed/.test(stdout)) throw new Error(`${stdout}\n${stderr}`);
  const name = stdout.match(/\[FAIL[^\]]*\] (\w+)/)?.[1];
  return { killed: status !== 0, by: name ? `  (${name})` : '' };
}
