#!/usr/bin/env node
// Rewrites vectors/event_topics.json, every event, function and error of the artifacts with its hash:
//   node tools/vectors.mjs            (after tools/artifacts.mjs)
//   node tools/vectors.mjs --check    proves that the committed file is that list
// forge's and Rust's tests assert the hashes themselves. The other vectors are written by hand.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CONTRACTS } from './artifacts.mjs';
import { install, root } from './toolchain.mjs';

const file = join(root, 'vectors', 'event_topics.json');

/** `(uint256,bytes)[]` for a tuple, the plain name for all else. */
function canonical(input) {
  if (!input.type.startsWith('tuple')) return input.type;
  return `(${input.components.map(canonical).join(',')})${input.type.slice('tuple'.length)}`;
}

function wanted() {
  const { keccak256 } = createRequire(join(root, 'package.json'))('js-sha3');
  const entries = CONTRACTS.flatMap((name) => JSON.parse(readFileSync(join(root, 'artifacts', `${name}.json`), 'utf8')).abi);
  const list = (type, key, digits) => {
    const named = entries.filter((entry) => entry.type === type);
    const signatures = new Set(named.map((entry) => `${entry.name}(${entry.inputs.map(canonical).join(',')})`));
    const lines = [...signatures].sort().map((signature) => {
      return `    { "signature": "${signature}", "${key}": "0x${keccak256(signature).slice(0, digits)}" }`;
    });
    return `[\n${lines.join(',\n')}\n  ]`;
  };
  return `{
  "events": ${list('event', 'topic', 64)},
  "functions": ${list('function', 'selector', 8)},
  "errors": ${list('error', 'selector', 8)}
}
`;
}

/** Whether the committed file is not what the artifacts say. */
export function stale() {
  return readFileSync(file, 'utf8') !== wanted();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  if (process.argv.includes('--check')) {
    if (stale()) {
      console.error('vectors/event_topics.json differs from the artifacts; run node contracts/tools/vectors.mjs');
      process.exit(1);
    }
  } else {
    writeFileSync(file, wanted());
  }
}
