import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

// `npm start` as a person has it: the start script, the built services, a data folder of their own.
const SCRIPT = fileURLToPath(new URL('../../../tools/vafa.mjs', import.meta.url));
const PATIENCE_MS = 60_000;

type Run = {
  pid: number;
  version: string;
  api: string;
  database: string;
  databaseOwner: string;
  services: Record<string, { health: string }>;
};

let folder: string;
const children: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vafa start وفا-'));
  await chmod(folder, 0o755);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended(child);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));

class Start {
  readonly child: ChildProcessWithoutNullStreams;
  output = '';

  constructor(env: Record<string, string> = {}, args: readonly string[] = []) {
    const settings = { VAFA_DATA: join(folder, 'data'), VAFA_PORT: '0', VAFA_DATABASE_PORT: '0', ...env };
    const { NODE_OPTIONS: _options, ...surroundings } = process.env;
    this.child = spawn(process.execPath, [SCRIPT, 'start', ...args], { env: { ...surroundings, ...settings } });
    children.push(this.child);
    this.child.stdout.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  async running(): Promise<Run> {
    await until(() => this.output.includes('Vafa runs') || this.child.exitCode !== null);
    if (!this.output.includes('Vafa runs')) throw new Error(this.output);
    return readRun();
  }

  async exit(): Promise<number | null> {
    await ended(this.child);
    return this.child.exitCode;
  }
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

const readRun = async (): Promise<Run> => JSON.parse(await readFile(join(folder, 'data', 'run.json'), 'utf8')) as Run;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come about in time');
    await sleep(50);
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function sql<Row>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as Row[];
  } finally {
    await client.end();
  }
}

describe('npm start', () => {
  it('serves the API, its documentation and health, and stops in order at Ctrl-C', async () => {
    const start = new Start();
    const run = await start.running();
    // A person is told how many migrations there were, the log which.
    expect(start.output.match(/^Database: .*$/gm)).toEqual([
      expect.stringMatching(/^Database: \d+ migrations applied\.$/),
    ]);
    expect(await readFile(join(folder, 'data', 'vafa.log'), 'utf8')).toMatch(/migrated points: FirstTables\d+/);
    expect((await stat(join(folder, 'data', 'run.json'))).mode & 0o777).toBe(0o600);
    const get = (path: string, headers = {}): Promise<Response> => fetch(`${run.api}${path}`, { headers });

    expect(await (await get('/')).text()).toContain('The customer club runs');
    expect(await (await get('/docs')).text()).toContain('swagger-ui');
    expect((await get('/docs/swagger-ui-bundle.js')).headers.get('content-type')).toContain('javascript');
    expect((await get('/docs/%2e%2e/package.json')).status).toBe(404);
    expect(await (await get('/openapi.json')).json()).toMatchObject({
      openapi: '3.1.0',
      info: { version: run.version },
    });
    expect((await get('/health/live')).status).toBe(200);
    const health = await get('/health/ready');
    expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ ready: true })]);
    for (const name of Object.keys(run.services)) expect((await get(`/health/ready/${name}`)).status).toBe(200);
    expect((await get('/metrics')).status).toBe(200);
    const nothing = await get('/nothing', { 'accept-language': 'fa' });
    expect(nothing.headers.get('content-type')).toContain('application/problem+json');
    expect(await nothing.json()).toMatchObject({ status: 404, title: 'چیزی پیدا نشد' });

    start.child.kill('SIGINT');
    expect(await start.exit()).toBe(0);
    expect(start.output).toContain('Stopped.');
    expect(existsSync(join(folder, 'data', 'run.json'))).toBe(false);
    expect(existsSync(join(folder, 'data', 'postgres', 'postmaster.pid'))).toBe(false);
  });

  it('lets analysts read their schema and no other', async () => {
    const start = new Start();
    const run = await start.running();
    expect(await sql(run.database, 'select current_user::text as who')).toEqual([{ who: 'analyst' }]);
    await expect(sql(run.database, 'select 1 from eventstore.events')).rejects.toMatchObject({ code: '42501' });
    await expect(sql(run.database, 'create table analytics.mine (a int)')).rejects.toThrow();
  });

  it('refuses a second start on the same data and says where the first one is', async () => {
    const start = new Start();
    const run = await start.running();
    const second = new Start();
    expect(await second.exit()).toBe(1);
    expect(second.output).toContain(`process ${run.pid}, at ${run.api}`);
    expect(start.output).not.toContain('Database: ');
    expect((await fetch(`${run.api}/health/ready`)).status).toBe(200);
  });

  it('says in a sentence that the port is taken and how to choose another', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const start = new Start({ VAFA_PORT: String(port) });
    expect(await start.exit()).toBe(1);
    other.close();
    expect(start.output.trim()).toBe(
      `Port ${port} is taken by another program: stop it, or choose another port, as in VAFA_PORT=${port + 1} npm start.`,
    );
  });

  it.each([
    [{ VAFA_PORT: 'three' }, /VAFA_PORT must be a whole number/],
    [{ VAFA_PROT: '3' }, /VAFA_PROT is not a setting: VAFA_PORT/],
    [{ VAFA_DATA: '/dev/null/vafa' }, /set VAFA_DATA to a folder/],
    [
      { VAFA_DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' },
      /The database 127\.0\.0\.1:1\/none does not let us in .*: check VAFA_DATABASE_URL/,
    ],
  ])('does not start with %j', async (env, message) => {
    const start = new Start(env);
    expect(await start.exit()).toBe(1);
    expect(start.output).toMatch(message);
  });

  it('says what it takes', async () => {
    const help = new Start({}, ['--help']);
    expect([await help.exit(), help.output]).toEqual([0, expect.stringContaining('VAFA_PORT')]);
    const wrong = new Start({}, ['--prot']);
    expect([await wrong.exit(), wrong.output]).toEqual([2, expect.stringContaining('--prot')]);
  });

  it('keeps what was committed when its process is killed, and starts again at once', async () => {
    const first = new Start();
    const before = await first.running();
    await sql(before.databaseOwner, 'create table public.kept as select 7 as n');
    process.kill(before.pid, 'SIGKILL');
    expect(await first.exit()).toBe(137);
    const second = new Start();
    const after = await second.running();
    expect(await sql(after.databaseOwner, 'select n from public.kept')).toEqual([{ n: 7 }]);
  });

  it('stops in order when only the start script is killed', async () => {
    const start = new Start();
    const run = await start.running();
    start.child.kill('SIGKILL');
    await until(() => !lives(run.pid));
    await until(() => !existsSync(join(folder, 'data', 'postgres', 'postmaster.pid')));
    expect(existsSync(join(folder, 'data', 'run.json'))).toBe(false);
  });

  it('ends with a sentence when the database is killed under it', async () => {
    const start = new Start();
    await start.running();
    const pid = Number((await readFile(join(folder, 'data', 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGKILL');
    expect(await start.exit()).toBe(1);
    expect(start.output).toContain('PostgreSQL ended although nobody stopped it');
  });
});
