import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkNode, findNode } from './node.mjs';
import { ROOT, say, Sentence, writeProblem } from './root.mjs';

const STAMP = '.vafa-installed';
const PROGRESS_TERMINAL_MS = 500;
const PROGRESS_PLAIN_MS = 10_000;
const OUTPUT_CHARS_MAX = 20_000;

/** Whether what is in `node_modules` is what the lock file says. The usual answer costs one hash of the lock file. */
export function isInstalled(root = ROOT) {
  const lockFile = readFileSync(join(root, 'package-lock.json'), 'utf8');
  if (findNode(root) === undefined) return false;
  const stamp = stampOf(lockFile);
  if (readOrNothing(join(root, 'node_modules', STAMP)) === stamp) return true;
  // Somebody ran npm by hand: npm's own record tells what it installed.
  const record = readOrNothing(join(root, 'node_modules', '.package-lock.json'));
  if (record === undefined || !matches(JSON.parse(lockFile).packages, JSON.parse(record).packages)) return false;
  try {
    writeStamp(root, stamp);
  } catch (error) {
    // A checkout that is installed and built is used as it is, also by somebody who may only read it.
    if (writeProblem(error) === undefined) throw error;
  }
  return true;
}

/**
 * Compares the wanted packages with npm's record of the installed ones.
 *
 * @param {Record<string, { version?: string, optional?: boolean, link?: boolean }>} wanted
 * @param {Record<string, { version?: string }>} installed
 */
export function matches(wanted, installed) {
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    // The root and the workspaces are folders of this checkout.
    if (!path.includes('node_modules/')) return true;
    const found = installed[path];
    if (found === undefined) return optional === true;
    return link === true || found.version === version;
  });
}

const stampOf = (lockFile) => createHash('sha256').update(lockFile).digest('hex');

function writeStamp(root, stamp) {
  const file = join(root, 'node_modules', STAMP);
  writeFileSync(`${file}.${process.pid}`, stamp);
  renameSync(`${file}.${process.pid}`, file);
}

function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Installs the packages of the lock file, and tells how far it is. */
export async function install(root = ROOT) {
  const total = countWanted(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages);
  say('Installing the packages (once; a few hundred megabytes).');
  const stopProgress = showProgress(root, total);
  const outcome = await runNpmCi(root).finally(stopProgress);
  if (outcome.code !== 0) throw new Sentence(explain(outcome.output));
  checkNode(root);
  writeStamp(root, stampOf(readFileSync(join(root, 'package-lock.json'), 'utf8')));
}

function runNpmCi(root) {
  // The npm that called us, where it did: another one may lie first on the PATH.
  const caller = process.env.npm_execpath;
  const own = caller !== undefined && /npm-cli\.[cm]?js$/.test(caller);
  const flags = [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    // Somebody waits: a registry that does not answer is told of within half a minute.
    ...['--fetch-retries=2', '--fetch-retry-mintimeout=2000', '--fetch-retry-maxtimeout=8000'],
    '--progress=false',
    '--include=dev',
    '--include=optional',
  ];
  const child = own
    ? spawn(process.execPath, [caller, ...flags], options(root))
    : spawn('npm', flags, { ...options(root), shell: process.platform === 'win32' });
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  return new Promise((resolve) => {
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-OUTPUT_CHARS_MAX));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve({ code: 1, output: String(error.message) }));
    child.once('close', (code, signal) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      if (signal !== null || code === 130 || code === 143) process.exit(signal === 'SIGTERM' ? 143 : 130);
      resolve({ code, output });
    });
  });
}

const options = (root) => ({ cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });

/** Says what one can do about a failed installation; what npm said follows where the cause is not known. */
export function explain(output) {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|ENOTCACHED|EHOSTUNREACH|network/i.test(output))
    return (
      'The packages could not be fetched, as there is no connection to the npm registry: go online and run the same command again, ' +
      'name a registry that can be reached with "npm config set registry <address>", or copy node_modules from a checkout on a machine of the same kind.'
    );
  if (/ENOSPC/.test(output))
    return 'The disk is full: the packages need about 1 GB. Free some space, then run the same command again.';
  if (/EACCES|EPERM|EROFS/.test(output))
    return 'The packages cannot be written into this folder: give this user the right to, or clone to a folder of your own.';
  if (/code EUSAGE/.test(output))
    return `package.json and package-lock.json do not fit together: run "npm install", then the same command again.\n${lines.slice(0, 8).join('\n')}`;
  return `npm could not install the packages. It said:\n${lines.slice(-15).join('\n')}`;
}

/** A line that counts the package folders as they appear; on a terminal it is written over itself. */
function showProgress(root, total) {
  const started = Date.now();
  const terminal = process.stderr.isTTY === true;
  const show = () => {
    const line = `  ${Math.min(countPackages(join(root, 'node_modules')), total)} of ${total} packages, ${Math.round((Date.now() - started) / 1000)} s`;
    process.stderr.write(terminal ? `\r${line}` : `${line}\n`);
  };
  const timer = setInterval(show, terminal ? PROGRESS_TERMINAL_MS : PROGRESS_PLAIN_MS);
  return () => {
    clearInterval(timer);
    show();
    if (terminal) process.stderr.write('\n');
  };
}

/** How many packages of a lock file this system gets: not the workspaces, and not what is made for other systems. */
export function countWanted(packages, { platform, arch } = process) {
  const fits = (list, value) => list === undefined || list.includes(value) || list.some((word) => word.startsWith('!'));
  return Object.entries(packages).filter(
    ([path, { os, cpu, link }]) =>
      path.includes('node_modules/') && link !== true && fits(os, platform) && fits(cpu, arch),
  ).length;
}

function countPackages(folder) {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((count, name) => {
    // Workspaces are links to folders of this checkout.
    if (name.startsWith('.') || name === '@vafa') return count;
    const path = join(folder, name);
    if (name.startsWith('@')) return count + countPackages(path);
    // npm makes the folders first and fills them as the packages come.
    const own = existsSync(join(path, 'package.json')) ? 1 : 0;
    return count + own + countPackages(join(path, 'node_modules'));
  }, 0);
}
