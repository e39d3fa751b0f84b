// Where the tools are and how they are called. Versions come from package-lock.json alone: formatting, gas figures
// and bytecode are compared byte for byte, so another forge on the PATH must not be picked up.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs a command in this folder; gives back its standard output, throws with all it said if it fails. With `fails` it
 * may end with 1 as long as it says something: a report of what failed.
 */
export function run(command, args, { fails = false, ...options } = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error) throw new Error(`${command} did not start: ${result.error.message}`);
  if (result.status !== 0 && !(fails && result.status === 1 && result.stdout)) {
    const said = [result.stdout, result.stderr].filter(Boolean).join('\n').trim();
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status ?? result.signal}\n${said}`);
  }
  return result.stdout ?? '';
}

/** Installs what package-lock.json names, unless it is there. npm writes the marker last. */
export function install() {
  if (existsSync(join(root, 'node_modules', '.package-lock.json'))) return;
  run('npm', ['ci', '--no-audit', '--no-fund'], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Calls forge's own binary (npm's `forge` is a wrapper around it). */
export function forge(args, options = {}) {
  return run(binary('forge'), args, options);
}

/** Where a tool of npm's is. */
export function binary(tool) {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const system = { linux: 'linux', darwin: 'darwin', win32: 'win32' }[process.platform];
  const path = join(root, 'node_modules', '@foundry-rs', `${tool}-${system}-${arch}`, 'bin', tool);
  const file = process.platform === 'win32' ? `${path}.exe` : path;
  if (!existsSync(file)) throw new Error(`${tool} is not in ${file}; run npm ci in contracts/`);
  return file;
}
