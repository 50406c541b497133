import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lives } from '@vafa/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';

const OWNER = fileURLToPath(new URL('../../test/embedded-owner.mjs', import.meta.url));
const HOOKS = new URL('../../../testing/src/source-hooks.mjs', import.meta.url).href;

let root: string;
let dataDir: string;
let lines: string[];
const servers: EmbeddedPostgres[] = [];
const owners: ChildProcess[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'vafa embedded وفا-'));
  await chmod(root, 0o755);
  dataDir = join(root, 'postgres');
  lines = [];
});

afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill('SIGKILL');
  for (const server of servers.splice(0)) await server.stop({ hurry: true });
  await rm(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

async function start(options: { port?: number; dataDir?: string } = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    dataDir,
    port: 0,
    durable: false,
    log: (line) => lines.push(line),
    ...options,
  });
  servers.push(server);
  return server;
}

async function sql<Row>(server: { url: string }, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return (await client.query(text)).rows as Row[];
  } finally {
    await client.end();
  }
}

type Owned = { url: string; port: number; pid: number };

async function startOwned(): Promise<{ owner: ChildProcess; server: Owned }> {
  const owner = spawn(process.execPath, ['--no-warnings', '--import', HOOKS, OWNER, dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  owners.push(owner);
  const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
  return { owner, server: JSON.parse(line) as Owned };
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition() && waited < 60_000; waited += 50) await sleep(50);
  expect(condition()).toBe(true);
}

describe('the embedded PostgreSQL', () => {
  it('keeps its data between starts, with a password that only its owner can read, in a folder with a space in its name', async () => {
    const first = await start();
    await sql(first, 'create table kept as select 7 as n');
    await first.stop();
    expect(existsSync(join(dataDir, 'postmaster.pid'))).toBe(false);

    const second = await start();
    expect(await sql(second, 'select n from kept')).toEqual([{ n: 7 }]);
    expect((await stat(join(root, 'keys', 'postgres'))).mode & 0o777).toBe(0o600);
    await expect(sql({ url: second.url.replace(/:[^:@]*@/, ':wrong@') }, 'select 1')).rejects.toMatchObject({
      code: '28P01',
    });
    expect(await sql(second, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  });

  it("lets nobody but the owner into the server's own databases", async () => {
    const server = await start();
    await sql(server, `create role guest login password 'guest'`);
    for (const database of ['postgres', 'template1']) {
      const url = new URL(server.url);
      [url.username, url.password, url.pathname] = ['guest', 'guest', `/${database}`];
      await expect(sql({ url: url.href }, 'select 1')).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('takes the next port when the wanted one is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const taken = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const server = await start({ port: taken });
      expect(server.port).toBeGreaterThan(taken);
      expect(await sql(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      other.close();
    }
  });

  it('ends by itself when its owner is killed, and what was committed is there again', async () => {
    const { owner, server } = await startOwned();
    await sql(server, 'create table kept as select 7 as n');
    owner.kill('SIGKILL');
    await until(() => !lives(server.pid));

    expect(await sql(await start(), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('survives the Ctrl-C that its owner handles, and stops when the owner says so', async () => {
    const { owner, server } = await startOwned();
    // What a terminal does: the signal goes to the whole process group, of which the server must not be one.
    expect(await processGroup(server.pid)).not.toBe(await processGroup(owner.pid ?? 0));
    owner.stdin?.end();
    await once(owner, 'exit');
    expect(lives(server.pid)).toBe(false);
    expect(existsSync(join(dataDir, 'postmaster.pid'))).toBe(false);
  });

  it('stops a server of an earlier start that still runs on its data', async () => {
    const earlier = await start();
    await sql(earlier, 'create table kept as select 7 as n');
    const server = await start();
    expect(lives(earlier.pid)).toBe(false);
    expect(lines.join()).toContain(`pid ${earlier.pid}`);
    expect(await sql(server, 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('removes the pid file of a server that is gone, also when its number now belongs to another program', async () => {
    const first = await start();
    await first.stop();
    for (const pid of [4_194_303, process.pid]) {
      await writeFile(
        join(dataDir, 'postmaster.pid'),
        `${pid}\n${dataDir}\n1\n5432\n\n127.0.0.1\n  1234  0\nready   \n`,
      );
      const server = await start();
      expect(await sql(server, 'select 1 as one')).toEqual([{ one: 1 }]);
      await server.stop();
    }
  });

  it('says when its data is of another version, belongs to something else, or lost its password', async () => {
    const first = await start();
    await first.stop();
    await rename(join(root, 'keys'), join(root, 'lost'));
    await expect(start()).rejects.toThrow(/password of the database is missing/);
    await rename(join(root, 'lost'), join(root, 'keys'));
    await writeFile(join(dataDir, 'PG_VERSION'), '17\n');
    await expect(start()).rejects.toThrow(/is of PostgreSQL 17 and this is 18/);
    await mkdir(join(root, 'other'));
    await writeFile(join(root, 'other', 'letter.txt'), 'not a database');
    await expect(start({ dataDir: join(root, 'other') })).rejects.toThrow(/holds other files/);
    expect(await readFile(join(root, 'other', 'letter.txt'), 'utf8')).toBe('not a database');
  });

  it('says that a folder cannot be made below a file', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(start({ dataDir: join(root, 'file', 'postgres') })).rejects.toThrow(/VAFA_DATA/);
  });

  it('says that a folder cannot be written', async () => {
    await chmod(root, 0o555);
    // Root may write anywhere but there.
    const closed = process.getuid?.() === 0 ? '/sys/vafa' : root;
    await expect(start({ dataDir: join(closed, 'postgres') })).rejects.toThrow(/cannot be written|read-only/);
    await chmod(root, 0o755);
  });

  it('runs below a folder that only its owner may enter', async () => {
    await chmod(root, 0o700);
    expect(await sql(await start(), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('runs in a folder whose path is longer than a socket file may have', async () => {
    const deep = join(root, ...Array.from({ length: 6 }, () => 'a-long-name-of-forty-characters-in-a-row'), 'postgres');
    expect(deep.length).toBeGreaterThan(200);
    expect(await sql(await start({ dataDir: deep }), 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

/** The process group, as field 5 of the system's own record; the name before it may hold anything but a last `)`. */
async function processGroup(pid: number): Promise<number> {
  const record = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(record.slice(record.lastIndexOf(')') + 2).split(' ')[2]);
}
