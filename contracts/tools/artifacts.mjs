#!/usr/bin/env node
// Rewrites artifacts/<Name>.json from the sources: node tools/artifacts.mjs
// Proves that the committed ones equal the sources:  node tools/artifacts.mjs --check
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { forge, install, root } from './toolchain.mjs';

export const CONTRACTS = [
  'BlockableUSD',
  'Executor',
  'FeeVault',
  'InvestorRegistry',
  'Listing',
  'NodeFactory',
  'OtcDesk',
  'PlainUSD',
  'RedemptionDesk',
  'RentDistributor',
  'SecondaryMarket',
  'SecurityToken',
  'TestUSD',
];
const folder = join(root, 'artifacts');

/** What forge built, as the text of each artifact by contract name. */
function built() {
  forge(['build', '--skip', 'test']);
  return new Map(
    CONTRACTS.map((name) => {
      const out = compiled(name);
      // A token's callers see more than its implementation's own functions.
      const { abi } = name === 'SecurityToken' ? compiled(name, 'Token') : out;
      const artifact = { abi, bytecode: out.bytecode.object, deployedBytecode: out.deployedBytecode.object };
      return [name, `${JSON.stringify(artifact)}\n`];
    }),
  );
}

function compiled(file, contract = file) {
  return JSON.parse(readFileSync(join(root, 'out', `${file}.sol`, `${contract}.json`), 'utf8'));
}

/** Names of artifacts that are not what the sources build. */
export function stale() {
  const wanted = built();
  const names = new Set([...wanted.keys(), ...readdirSync(folder).map((file) => file.replace(/\.json$/, ''))]);
  return [...names].filter((name) => {
    const file = join(folder, `${name}.json`);
    return !existsSync(file) || readFileSync(file, 'utf8') !== wanted.get(name);
  });
}

function write() {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of built()) writeFileSync(join(folder, `${name}.json`), text);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  if (process.argv.includes('--check')) {
    const names = stale();
    if (names.length > 0) {
      console.error(`artifacts differ from the sources: ${names.join(', ')}; run node contracts/tools/artifacts.mjs`);
      process.exit(1);
    }
  } else {
    write();
  }
}
