#!/usr/bin/env node
// Keeps layout.json, where everything stands in the storage of what can be upgraded:
//   node tools/layout.mjs            rewrites it, unless something has moved
//   node tools/layout.mjs --force    rewrites it all the same: nothing that is deployed survives that
// An upgrade may add to the end of a struct that stands in no array. What stands there keeps its name, type and place.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { forge, install, root } from './toolchain.mjs';

const file = join(root, 'layout.json');

/** Where each namespace begins, by its name; throws where the source says something else than ERC-7201. */
function namespaces() {
  const { keccak256 } = createRequire(join(root, 'package.json'))('js-sha3');
  const sources = ['sol', 'sol/node'].flatMap((folder) => {
    return readdirSync(join(root, folder)).filter((name) => name.endsWith('.sol')).map((name) => join(root, folder, name));
  });
  return sources.flatMap((source) => {
    const text = readFileSync(source, 'utf8');
    const name = text.match(/@custom:storage-location erc7201:(\S+)/)?.[1];
    if (!name) return [];
    const inner = (BigInt(`0x${keccak256(name)}`) - 1n).toString(16).padStart(64, '0');
    const slot = `0x${keccak256(Buffer.from(inner, 'hex')).slice(0, -2)}00`;
    if (!text.includes(`_STORAGE = ${slot};`)) throw new Error(`${source}: the namespace ${name} begins at ${slot}`);
    return [`${name}: ${slot}`];
  });
}

/** Members of each struct, by the struct's name: `label: type @ slot + offset`. */
function built() {
  // Beside the other artifacts, which have no layouts.
  const [out, cache] = [join('out', 'layout'), join('cache', 'layout')];
  forge(['build', 'test/Layouts.sol', '--extra-output', 'storageLayout', '--out', out, '--cache-path', cache]);
  const { types } = JSON.parse(readFileSync(join(root, out, 'Layouts.sol', 'Layouts.json'), 'utf8')).storageLayout;
  const structs = Object.values(types).filter(({ members }) => members);
  const lines = structs.map(({ label, members }) => {
    return [label, members.map((m) => `${m.label}: ${types[m.type].label} @ ${m.slot} + ${m.offset}`)];
  });
  // Elements stand one behind the other: one that grows moves all that follow.
  const elements = Object.values(types).filter(({ base }) => base && types[base].members).map(({ base }) => types[base]);
  const arrays = [...new Set(elements.map(({ label, numberOfBytes }) => `${label}: ${numberOfBytes} bytes`))].sort();
  return Object.fromEntries([['namespaces', namespaces()], ['arrays', arrays], ...lines.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** What moved or went, and whether there is anything new. */
function compared(now, then) {
  const moved = Object.entries(then).flatMap(([struct, members]) => {
    return members.filter((member) => !now[struct]?.includes(member)).map((member) => `${struct}.${member}`);
  });
  return { moved, grown: JSON.stringify(now) !== JSON.stringify(then) };
}

function recorded() {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

/** Throws unless the comparison notices, for each struct, a field that is moved, retyped, renamed or gone. */
function proved(then) {
  for (const [struct, members] of Object.entries(then)) {
    for (const [i, member] of members.entries()) {
      const broken = [member.replace(/\d+/, (n) => Number(n) + 1), `x${member}`, undefined].filter((other) => other !== member);
      for (const other of broken) {
        const now = { ...then, [struct]: members.flatMap((same, at) => (at === i ? (other ?? []) : same)) };
        if (compared(now, then).moved.length !== 1) throw new Error(`the comparison is blind for ${struct}.${member}`);
      }
    }
    const grown = compared({ ...then, [struct]: [...members, 'more: uint256 @ 99 + 0'] }, then);
    if (grown.moved.length !== 0 || !grown.grown) throw new Error(`the comparison takes growth of ${struct} for a move`);
  }
}

/** Throws unless the committed file is the layout of the sources. */
export function layout() {
  const now = built();
  proved(now);
  const { moved, grown } = compared(now, recorded());
  if (moved.length > 0) throw new Error(`moved or gone, which no upgrade survives:\n  ${moved.join('\n  ')}`);
  if (grown) throw new Error('storage has grown; run node tools/layout.mjs');
  const { namespaces: begins, arrays: _, ...structs } = now;
  return `${begins.length} namespaces, ${Object.keys(structs).length} structs, ${Object.values(structs).flat().length} members`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  const now = built();
  const { moved } = compared(now, recorded());
  if (moved.length > 0 && !process.argv.includes('--force')) {
    console.error(`moved or gone, which no upgrade survives:\n  ${moved.join('\n  ')}`);
    process.exit(1);
  }
  writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`);
}
