#!/usr/bin/env node
// Keeps layout.json, where everything stands in the storage of what can be upgraded:
//   node tools/layout.mjs            rewrites it, unless something has moved
//   node tools/layout.mjs --force    rewrites it all the same: nothing that is deployed survives that
// An upgrade may add to the end of a struct. What stands there keeps its name, type and place for ever.
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
  return Object.fromEntries([['namespaces', namespaces()], ...lines.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** What moved or went, and whether there is anything new. */
function compared(now) {
  const then = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const moved = Object.entries(then).flatMap(([struct, members]) => {
    return members.filter((member, i) => now[struct]?.[i] !== member).map((member) => `${struct}.${member}`);
  });
  return { moved, grown: JSON.stringify(now) !== JSON.stringify(then) };
}

/** Throws unless the committed file is the layout of the sources. */
export function layout() {
  const now = built();
  const { moved, grown } = compared(now);
  if (moved.length > 0) throw new Error(`moved or gone, which no upgrade survives:\n  ${moved.join('\n  ')}`);
  if (grown) throw new Error('storage has grown; run node tools/layout.mjs');
  const { namespaces: begins, ...structs } = now;
  return `${begins.length} namespaces, ${Object.keys(structs).length} structs, ${Object.values(structs).flat().length} members`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  const now = built();
  const { moved } = compared(now);
  if (moved.length > 0 && !process.argv.includes('--force')) {
    console.error(`moved or gone, which no upgrade survives:\n  ${moved.join('\n  ')}`);
    process.exit(1);
  }
  writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`);
}
