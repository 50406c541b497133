import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, staleProjects, STAMP } from './fingerprint.mjs';
import { countWanted, explain, isInstalled, matches } from './install.mjs';
import { commandFor } from './main.mjs';
import { writeProblem } from './root.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));

let root;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vafa tools وفا-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path, content) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

describe('whether the packages are there', () => {
  const lock = (version) => JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } });

  beforeEach(() => {
    write('package-lock.json', lock('1.0.0'));
    write('node_modules/node/bin/node', '');
    write('node_modules/.package-lock.json', lock('1.0.0'));
  });

  it('believes the record of npm, and from then on its own stamp', () => {
    expect(isInstalled(root)).toBe(true);
    rmSync(join(root, 'node_modules/.package-lock.json'));
    expect(isInstalled(root)).toBe(true);
  });

  it('sees a lock file that asks for another version', () => {
    expect(isInstalled(root)).toBe(true);
    write('package-lock.json', lock('1.0.1'));
    expect(isInstalled(root)).toBe(false);
  });

  it('sees an installation that was cut off before npm wrote its record', () => {
    rmSync(join(root, 'node_modules/.package-lock.json'));
    expect(isInstalled(root)).toBe(false);
  });

  it('does without packages for other systems, and without no other', () => {
    const installed = { 'node_modules/a': { version: '1.0.0' } };
    const wanted = { '': {}, 'libs/x': {}, 'node_modules/a': { version: '1.0.0' } };
    expect(matches(wanted, installed)).toBe(true);
    expect(matches({ ...wanted, 'node_modules/b': { version: '1.0.0', optional: true } }, installed)).toBe(true);
    expect(matches({ ...wanted, 'node_modules/b': { version: '1.0.0' } }, installed)).toBe(false);
    expect(matches({ ...wanted, 'node_modules/@vafa/x': { link: true } }, installed)).toBe(false);
  });
});

describe('the lock file', () => {
  const { packages } = JSON.parse(readFileSync(join(HERE, '../../package-lock.json'), 'utf8'));

  /** Where Node would find a package that the one at `path` asks for. */
  const isLocked = (path, name) => {
    for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      if (`${at}/node_modules/${name}`.replace(/^\//, '') in packages) return true;
      if (at === '') return false;
    }
  };

  it('names the optional packages of every system: npm ci refuses one that names only those of the system it was made on', () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isLocked(path, name)),
    );
    expect(missing).toEqual([]);
  });

  it('is counted by what this system gets of it', () => {
    const some = {
      '': {},
      'libs/x': {},
      'node_modules/@vafa/x': { link: true },
      'node_modules/a': {},
      'node_modules/a/node_modules/b': { os: ['linux'], cpu: ['x64'] },
      'node_modules/c': { os: ['darwin'], cpu: ['x64'] },
    };
    expect(countWanted(some, { platform: 'linux', arch: 'x64' })).toBe(2);
    expect(countWanted(some, { platform: 'darwin', arch: 'arm64' })).toBe(1);
  });
});

describe('a failed installation', () => {
  it.each([
    ['npm error code ENOTFOUND\nnpm error network request failed', /go online/],
    ['npm error code ENOSPC\nnpm error syscall write', /disk is full/],
    ['npm error code EACCES\nnpm error path /x', /cannot be written/],
    ['npm error code EUSAGE\nnpm error `npm ci` can only install', /npm install/],
    ['npm error code EINTEGRITY\nnpm error sha512', /EINTEGRITY/],
  ])('is told with what to do: %s', (output, sentence) => {
    expect(explain(output)).toMatch(sentence);
  });
});

describe('what has to be built', () => {
  beforeEach(() => {
    write('.swcrc', '{}');
    write('tools/build.mjs', '');
    write('apps/a/src/main.ts', 'a');
    write('libs/l/src/index.ts', 'l');
  });

  const stamp = (project) => write(join(project, 'dist', STAMP), fingerprint(project, root));

  it('is every project at first, and none once it is stamped', () => {
    expect(staleProjects(root)).toEqual(['libs/l', 'apps/a']);
    stamp('libs/l');
    stamp('apps/a');
    expect(staleProjects(root)).toEqual([]);
  });

  it('is the project whose file is touched, added or removed', () => {
    stamp('libs/l');
    stamp('apps/a');
    utimesSync(join(root, 'libs/l/src/index.ts'), 1, 1);
    expect(staleProjects(root)).toEqual(['libs/l']);
    stamp('libs/l');
    write('apps/a/src/deep/new.ts', '');
    expect(staleProjects(root)).toEqual(['apps/a']);
    stamp('apps/a');
    rmSync(join(root, 'apps/a/src/deep/new.ts'));
    expect(staleProjects(root)).toEqual(['apps/a']);
  });
});

describe('the command line', () => {
  it('starts the server with a link, tests with Jest, and leaves the rest to the commands', () => {
    expect(commandFor(['start', '--help'])).toMatchObject({ linked: true });
    expect(commandFor(['start', '--help']).args.slice(-1)).toEqual(['--help']);
    expect(commandFor(['--test', 'claims']).args.slice(-4)).toEqual(['claims', '--selectProjects', 'unit', 'int']);
    expect(commandFor(['--test', '--selectProjects', 'e2e']).args.slice(-2)).toEqual(['--selectProjects', 'e2e']);
    expect(commandFor(['--run', 'tools/x.mjs', 'a']).args.slice(-2)).toEqual(['tools/x.mjs', 'a']);
    expect(commandFor(['status', '--json']).args[0]).toMatch(/apps\/cli\/dist\/main\.js$/);
  });
});

describe('the lock', () => {
  const WORKER = `
    import { appendFileSync } from 'node:fs';
    import { withLock } from '${join(HERE, 'lock.mjs')}';
    const [file, journal, how] = process.argv.slice(1);
    await withLock(file, () => {}, async () => {
      appendFileSync(journal, 'in\\n');
      if (how === 'die') process.kill(process.pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 30));
      appendFileSync(journal, 'out\\n');
    });`;

  const run = async (how) => {
    const args = ['--input-type=module', '-e', WORKER, '--', join(root, 'a.lock'), join(root, 'journal'), how];
    await once(spawn(process.execPath, args, { stdio: 'inherit', timeout: 60_000 }), 'exit');
  };

  it('lets one in at a time, and is taken over from one that was killed', async () => {
    await run('die');
    expect(existsSync(join(root, 'a.lock'))).toBe(true);
    await Promise.all(Array.from({ length: 4 }, () => run('live')));
    const lines = readFileSync(join(root, 'journal'), 'utf8').trim().split('\n');
    expect(lines).toEqual(['in', ...Array.from({ length: 4 }, () => ['in', 'out']).flat()]);
    expect(existsSync(join(root, 'a.lock'))).toBe(false);
  });

  const hasRecords = existsSync('/proc/self/stat');

  (hasRecords ? it : it.skip)('is taken over from one whose number another process has by now', async () => {
    await run('die');
    const [number, began] = readFileSync(join(root, 'a.lock'), 'utf8').split(' ');
    expect(Number(number)).not.toBe(process.pid);
    write('a.lock', [process.pid, began].filter(Boolean).join(' '));
    await run('live');
    expect(readFileSync(join(root, 'journal'), 'utf8')).toBe('in\nin\nout\n');
  });
});

describe('a checkout that cannot be written', () => {
  // For root nothing is forbidden: the child becomes nobody in particular before it begins.
  const AS_ANYBODY = `
    if (process.getuid?.() === 0) process.setuid(65534);
    const { main } = await import(process.argv[1]);
    await main(['status']);`;

  const start = () => {
    const main = join(root, 'tools/bootstrap/main.mjs');
    return spawnSync(process.execPath, ['--input-type=module', '-e', AS_ANYBODY, '--', main], { encoding: 'utf8' });
  };

  it('is said in one sentence, without a stack', () => {
    cpSync(HERE, join(root, 'tools/bootstrap'), { recursive: true });
    write('package-lock.json', JSON.stringify({ packages: {} }));
    chmodSync(root, 0o555);
    try {
      const { status, stderr } = start();
      expect(stderr).toMatch(/^\S.*\.cache cannot be written: give this user the right to, .*\n$/);
      expect(status).toBe(1);
    } finally {
      chmodSync(root, 0o755);
    }
  });

  it('does not matter where all is installed already', () => {
    cpSync(HERE, join(root, 'tools/bootstrap'), { recursive: true });
    const lock = JSON.stringify({ packages: {} });
    write('package-lock.json', lock);
    write('node_modules/.package-lock.json', lock);
    mkdirSync(join(root, 'libs'));
    mkdirSync(join(root, 'apps'));
    for (const folder of ['node_modules', '.']) chmodSync(join(root, folder), 0o555);
    try {
      // It gets as far as the command, which is not there.
      expect(start().stderr).toMatch(/Cannot find module .*apps.cli.dist.main\.js/);
    } finally {
      for (const folder of ['.', 'node_modules']) chmodSync(join(root, folder), 0o755);
    }
  });

  it.each([
    ['ENOSPC', /disk is full/],
    ['EROFS', /can only be read/],
    ['EPERM', /^\/x cannot be written/],
  ])('is known by %s', (code, sentence) => {
    expect(writeProblem({ code, path: '/x' })).toMatch(sentence);
  });

  it('is no other failure', () => {
    expect(writeProblem({ code: 'ENOENT' })).toBeUndefined();
    expect(writeProblem({ code: 'EACCES', syscall: 'spawn node' })).toBeUndefined();
  });
});
