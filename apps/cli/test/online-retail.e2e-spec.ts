import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import pg from 'pg';
import { RunningClub } from './running-club.js';

// The invoices of a real shop, untidy as they are, under both policies for returns without a purchase. The data is research data that is not
// ours to ship: it is looked for beside the checkout, or in the folder that VAFA_DATA_SETS names.
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = process.env['VAFA_DATA_SETS'] ?? join(ROOT, '..', 'shared', 'data');
const FILE = join(FOLDER, 'online_retail_invoices.csv.gz');
const MAP = join(ROOT, 'examples/import/online-retail.yaml');
const ROWS = 25_943;
const LONG_MS = 20 * 60_000;

const isThere = existsSync(FILE);
if (!isThere) process.stderr.write(`The import of real invoices is left out, as ${FILE} is not there.\n`);

const STATUSES = ['taken', 'waiting', 'anonymous', 'conflict', 'quarantined', 'refused', 'skipped', 'rejected'];
const sumOf = (counts: Record<string, unknown>): number =>
  STATUSES.reduce((sum, status) => sum + Number(counts[status]), 0);

/** The same rows in another order, the same one every time. */
const shuffled = (csv: string): string => {
  const [header = '', ...rows] = csv.trimEnd().split('\n');
  let state = 1;
  for (let i = rows.length - 1; i > 0; i--) {
    state = (state * 48_271) % 2_147_483_647;
    const j = state % (i + 1);
    [rows[i], rows[j]] = [rows[j] ?? '', rows[i] ?? ''];
  }
  return `${[header, ...rows].join('\n')}\n`;
};

const owner = async <Row>(club: RunningClub, sql: string): Promise<Row[]> => {
  const run = JSON.parse(await readFile(join(club.folder, 'data', 'run.json'), 'utf8')) as { databaseOwner: string };
  const client = new pg.Client({ connectionString: run.databaseOwner });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
};

type Imported = { readonly counts: Record<string, unknown>; readonly claims: string[]; readonly reasons: string[] };

/** Imports the invoices into a fresh club. `claims` are the keys that stand in its register. */
const imported = async (policy: string, csv?: string): Promise<Imported> => {
  const club = await RunningClub.stopped({ VAFA_UNREFERENCED_RETURNS: policy });
  try {
    await club.start();
    const file = csv === undefined ? FILE : join(club.folder, 'shuffled.csv');
    if (csv !== undefined) await writeFile(file, csv);
    const rejects = join(club.folder, 'rejects.ndjson');
    const counts = await club.json('import', 'purchases', file, '--map', MAP, '--enrol', '--rejected', rejects);
    const claims = await owner<{ key: string }>(
      club,
      `select kind || ' ' || natural_id as key from points.claims order by 1`,
    );
    const reasons = (await readFile(rejects, 'utf8')).trimEnd().split('\n');
    expect(await club.json('verify')).toMatchObject({ code: 0 });
    return { counts, claims: claims.map(({ key }) => key), reasons };
  } finally {
    await club.dispose();
  }
};

describe('the invoices of a real shop', () => {
  (isThere ? it : it.skip)(
    'are all accounted for, under both policies and in any order',
    async () => {
      const quarantine = await imported('quarantine');
      expect(quarantine.counts).toMatchObject({ rows: ROWS, conflict: 43, rejected: 1_338, waiting: 0, refused: 0 });
      expect(sumOf(quarantine.counts)).toBe(ROWS);
      const because = (text: string): number => quarantine.reasons.filter((line) => line.includes(text)).length;
      expect(because('not a purchase (stock correction)')).toBe(1_336);
      expect(because('not a purchase (bad debt written off)')).toBe(2);

      const latest = await imported('latest-first');
      expect(sumOf(latest.counts)).toBe(ROWS);
      expect(latest.counts).toMatchObject({ rows: ROWS, conflict: 43, rejected: 1_338, waiting: 0 });
      expect(Number(latest.counts['taken'])).toBeGreaterThan(Number(quarantine.counts['taken']));
      expect(latest.claims).toEqual(quarantine.claims);

      const other = await imported('quarantine', shuffled(gunzipSync(readFileSync(FILE)).toString('utf8')));
      expect(sumOf(other.counts)).toBe(ROWS);
      expect(other.claims).toEqual(quarantine.claims);
    },
    LONG_MS,
  );
});
