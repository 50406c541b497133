import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

// The purchases of a real shop, 18 months of them, through the same commands that a person types. The data is research data that is
// not ours to ship: it is looked for beside the checkout, or in the folder that VAFA_DATA_SETS names.
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FILE = join(process.env['VAFA_DATA_SETS'] ?? join(ROOT, '..', 'shared', 'data'), 'cdnow.csv.gz');
const MAP = join(ROOT, 'examples/import/cdnow.yaml');
const IMPORT_MS_MAX = 600_000;
const PURCHASES = 69_659;
const MEMBERS = 23_544;
const POINTS = 2_453_159;

const isThere = existsSync(FILE);
if (!isThere) process.stderr.write(`The import of real purchases is left out, as ${FILE} is not there.\n`);

type Counts = { rows: number; taken: number; points: number; membersEnrolled: number; rejected: number };

describe('a real history of purchases', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let server: ChildProcess;

  const start = async (): Promise<void> => {
    server = spawn(process.execPath, [join(ROOT, 'tools/vafa.mjs'), 'start'], { env, stdio: 'ignore' });
    const runFile = join(folder, 'data', 'run.json');
    for (let waited = 0; !existsSync(runFile) && waited < 60_000; waited += 50) await sleep(50);
    expect(existsSync(runFile)).toBe(true);
  };

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  };

  const vafa = async (...args: string[]): Promise<{ code: number | null; output: string }> => {
    const child = spawn(process.execPath, [join(ROOT, 'tools/vafa.mjs'), ...args], { env });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.resume();
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  };

  const importFile = async (file: string): Promise<Counts> => {
    const { code, output } = await vafa('import', 'purchases', file, '--map', MAP, '--enrol', '--json');
    expect(code).toBe(0);
    return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Counts;
  };

  const balances = async (): Promise<string[]> => {
    const run = JSON.parse(await readFile(join(folder, 'data', 'run.json'), 'utf8')) as { database: string };
    const client = new pg.Client({ connectionString: run.database });
    await client.connect();
    try {
      const { rows } = await client.query<{ line: string }>(
        `select m.external_id || ' ' || b.balance as line
           from analytics.points_balances b join analytics.members m using (member_id) order by 1`,
      );
      return rows.map(({ line }) => line);
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    if (!isThere) return;
    folder = await mkdtemp(join(tmpdir(), 'vafa-real-'));
    await chmod(folder, 0o755);
    const { NODE_OPTIONS: _options, ...surroundings } = process.env;
    env = { ...surroundings, VAFA_DATA: join(folder, 'data'), VAFA_PORT: '0', VAFA_DATABASE_PORT: '0' };
    await start();
  });

  afterAll(async () => {
    if (!isThere) return;
    await stop('SIGTERM');
    await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });

  const withData = isThere ? it : it.skip;

  withData(
    'gives every member the points that the receipts say, once, whatever is imported again',
    async () => {
      const first = await importFile(FILE);
      expect(first).toMatchObject({
        rows: PURCHASES,
        taken: PURCHASES,
        points: POINTS,
        membersEnrolled: MEMBERS,
        rejected: 0,
      });
      const list = await balances();
      expect(list).toHaveLength(MEMBERS);
      expect(list.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)).toBe(POINTS);
      expect(Math.max(...list.map((line) => Number(line.split(' ')[1])))).toBe(13_860);
      expect(list).toContain('07592 13860');

      const copy = join(folder, 'another-name.csv.gz');
      await copyFile(FILE, copy);
      expect(await importFile(copy)).toMatchObject({ rows: PURCHASES, membersEnrolled: 0 });
      expect(await balances()).toEqual(list);
      expect((await vafa('verify')).code).toBe(0);
    },
    IMPORT_MS_MAX,
  );

  withData(
    'ends with the same balances after a kill -9 in the middle of the import',
    async () => {
      const undisturbed = await balances();
      await stop('SIGTERM');
      await rm(join(folder, 'data'), { recursive: true, maxRetries: 50, retryDelay: 100 });
      await start();
      const args = ['import', 'purchases', FILE, '--map', MAP, '--enrol', '--json'];
      const importing = spawn(process.execPath, [join(ROOT, 'tools/vafa.mjs'), ...args], { env, stdio: 'ignore' });
      const importer = once(importing, 'exit');
      while ((await balances()).length < 2_000) await sleep(250);
      // The server and whoever started it: nothing is told, nothing is closed, and its PostgreSQL is left behind.
      const { pid } = JSON.parse(await readFile(join(folder, 'data', 'run.json'), 'utf8')) as { pid: number };
      process.kill(pid, 'SIGKILL');
      await stop('SIGKILL');
      await rm(join(folder, 'data', 'run.json'));
      await start();
      expect((await importer)[0]).toBe(0);
      expect(await importFile(FILE)).toMatchObject({ rows: PURCHASES, taken: PURCHASES, points: POINTS });
      expect(await balances()).toEqual(undisturbed);
      expect((await vafa('verify')).code).toBe(0);
    },
    IMPORT_MS_MAX,
  );
});
