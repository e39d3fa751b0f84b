#!/usr/bin/env node
// Everything that must hold of the Solidity half, stage by stage, each timed:
//   node tools/check.mjs                  all stages
//   node tools/check.mjs fmt sizes …      only these
//   node tools/check.mjs gas --write      rewrites gas.json
// FOUNDRY_PROFILE=ci or long fuzzes and searches for longer (foundry.toml). Ends with 1 if any stage fails.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stale as staleArtifacts } from './artifacts.mjs';
import { layout } from './layout.mjs';
import { APART, coverage, halmos, invariants } from './proof.mjs';
import { forge, install, root } from './toolchain.mjs';
import { stale as staleVectors } from './vectors.mjs';

/** Bytes of runtime code a contract may have. The EVM's own wall is 24,576. */
const MAX_SIZE = 20_000;
/** How far, in per cent, a figure may drift from gas.json, either way: a gain belongs on record too. */
const GAS_TOLERANCE = 1;

const stages = { install, fmt, artifacts, vectors, layout, sizes, gas, test, invariants, halmos, coverage };

function fmt() {
  forge(['fmt', '--check']);
}

function artifacts() {
  const names = staleArtifacts();
  if (names.length > 0) throw new Error(`differ from the sources: ${names.join(', ')}; run node tools/artifacts.mjs`);
}

function vectors() {
  if (staleVectors()) throw new Error('event_topics.json differs from the artifacts; run node tools/vectors.mjs');
}

function sizes() {
  forge(['build', '--skip', 'test']);
  const found = ['sol', 'sol/node']
    .flatMap((folder) => readdirSync(join(root, folder)))
    .filter((name) => name.endsWith('.sol'))
    .map((name) => {
      const { deployedBytecode } = read('out', name, name.replace(/\.sol$/, '.json'));
      return { name: name.replace(/\.sol$/, ''), bytes: (deployedBytecode.object.length - 2) / 2 };
    })
    // Abstract ones have none.
    .filter(({ bytes }) => bytes > 0);
  const large = found.filter(({ bytes }) => bytes >= MAX_SIZE);
  if (large.length > 0) throw new Error(`${MAX_SIZE} bytes or more: ${large.map(show).join(', ')}`);
  return found.map(show).join(', ');

  function show({ name, bytes }) {
    return `${name} ${bytes}`;
  }
}

function gas() {
  // Isolated, each call is a transaction of its own: figures then are what a receipt says.
  forge(['test', '--isolate', '--match-contract', 'GasTest']);
  const text = Object.entries(read('out', 'gas', 'gas.json'));
  const measured = Object.fromEntries(text.map(([name, figure]) => [name, Number(figure)]));
  if (process.argv.includes('--write')) {
    writeFileSync(join(root, 'gas.json'), `${JSON.stringify(measured, null, 2)}\n`);
    return 'gas.json rewritten';
  }
  const recorded = read('gas.json');
  const names = [...new Set([...Object.keys(measured), ...Object.keys(recorded)])];
  const off = names.filter((name) => {
    const [now, then] = [measured[name], recorded[name]];
    // A figure that is missing on one side compares as NaN, thus is off.
    return !(Math.abs(now - then) * 100 <= then * GAS_TOLERANCE);
  });
  if (off.length > 0) {
    const lines = off.map((name) => `  ${name}: ${recorded[name] ?? 'not recorded'} -> ${measured[name] ?? 'gone'}`);
    throw new Error(`off by more than ${GAS_TOLERANCE} %; see why, then run node tools/check.mjs gas --write\n${lines.join('\n')}`);
  }
  return `${names.length} figures within ${GAS_TOLERANCE} %`;
}

function test() {
  const said = forge(['test', '--no-match-contract', APART]);
  const last = said.match(/(\d+) tests passed, (\d+) failed, (\d+) skipped/);
  if (!last || Number(last[1]) === 0) throw new Error(`forge ran no test\n${said}`);
  return last[0];
}

function read(...path) {
  return JSON.parse(readFileSync(join(root, ...path), 'utf8'));
}

const asked = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = asked.filter((name) => !(name in stages));
if (unknown.length > 0) {
  console.error(`no such stage: ${unknown.join(', ')}; there are ${Object.keys(stages).join(', ')}`);
  process.exit(2);
}
let failed = 0;
for (const [name, stage] of Object.entries(stages)) {
  if (asked.length > 0 && name !== 'install' && !asked.includes(name)) continue;
  const start = performance.now();
  let outcome;
  try {
    outcome = `ok    ${stage() ?? ''}`;
  } catch (error) {
    failed += 1;
    outcome = `FAIL  ${error.message}`;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  console.log(`contracts ${name.padEnd(10)}${seconds} s  ${outcome}`.trimEnd());
  // Nothing else can run without the tools.
  if (failed > 0 && name === 'install') break;
}
process.exit(failed > 0 ? 1 : 0);
