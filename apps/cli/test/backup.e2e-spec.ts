import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, eventually } from '@vafa/testing';
import pg from 'pg';

import { RunningClub } from './running-club.js';

const LONG_MS = 10 * 60_000;

/** What must be the same in the copy: a digest of every table, and where sequences stand. Consumers go on: see `placesOf`. */
const digest = async (url: string): Promise<Record<string, string>> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read');
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname in ('points', 'members', 'eventstore', 'messaging', 'service') and tablename not in ('migrations', 'reader_lag', 'offsets') order by 1`,
    );
    const found: Record<string, string> = {};
    for (const { name } of tables) {
      const { rows } = await client.query<{ digest: string }>(
        `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as digest from ${name} t`,
      );
      found[name] = rows[0]?.digest ?? '';
    }
    return found;
  } finally {
    await client.end();
  }
};

/** Where consumers stand. One that has nothing to do moves on all the same, over what is not for it. */
const placesOf = async (url: string): Promise<Map<string, bigint>> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ consumer: string; position: string }>(
      `select format('%s of %s, %s', group_name, topic, partition) as consumer, position::text from messaging.offsets`,
    );
    return new Map(rows.map(({ consumer, position }) => [consumer, BigInt(position)]));
  } finally {
    await client.end();
  }
};

describe('vafa backup and restore', () => {
  let club: RunningClub;
  let copy: RunningClub | undefined;
  const inFolder = (name: string): string => join(club.folder, name);
  const owner = async (one: RunningClub): Promise<string> =>
    (JSON.parse(await readFile(join(one.folder, 'data', 'run.json'), 'utf8')) as { databaseOwner: string })
      .databaseOwner;
  const query = async <Row>(one: RunningClub, sql: string): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: await owner(one) });
    await client.connect();
    try {
      return (await client.query(sql)).rows as Row[];
    } finally {
      await client.end();
    }
  };
  const generate = async (name: string, ...args: string[]): Promise<void> =>
    writeFile(inFolder(name), (await club.vafa('generate', 'purchases', ...args)).stdout);

  beforeAll(async () => {
    club = await RunningClub.start();
    await generate('a.ndjson', '--members', '100', '--purchases', '1500');
    await generate('b.ndjson', '--members', '300', '--purchases', '6000', '--seed', '5');
    await club.json('import', 'purchases', 'a.ndjson', '--enrol');
  }, LONG_MS);

  afterAll(async () => {
    await copy?.dispose();
    await club.dispose();
  });

  it(
    'copies everything as it stood at one moment, while purchases flow, and the copy goes on from there',
    async () => {
      const importing = club.json('import', 'purchases', 'b.ndjson', '--enrol');
      const written = await club.json('backup', 'copy.vafa');
      expect(written).toMatchObject({ code: 0, keys: true });
      expect((await stat(inFolder('copy.vafa'))).mode & 0o777).toBe(0o600);
      expect((await stat(inFolder('copy.vafa.keys'))).mode & 0o777).toBe(0o600);
      expect((await club.vafa('backup', 'copy.vafa')).code).toBe(1);
      const imported = await importing;

      copy = await RunningClub.stopped();
      expect(await copy.json('restore', inFolder('copy.vafa'))).toMatchObject({ code: 0, rows: written['rows'] });
      await copy.start();
      expect(await copy.json('verify')).toMatchObject({ code: 0, ok: true });
      const again = await copy.json('import', 'purchases', inFolder('a.ndjson'), '--enrol');
      expect(again).toMatchObject({ code: 0, taken: 1_500, membersEnrolled: 0 });
      // What came in after the backup is imported again from the file it came from; what was in it changes nothing.
      expect(await copy.json('import', 'purchases', inFolder('b.ndjson'), '--enrol')).toMatchObject({
        code: 0,
        taken: imported['taken'],
        points: imported['points'],
      });
      expect(await copy.json('verify')).toMatchObject({ code: 0, ok: true, events: 7_500 });
      const [sequences] = await query<Record<string, string>>(
        copy,
        `select count(*) as messages, count(distinct (key, sequence)) as distinct, count(*) filter (where sequence = 1) as firsts, count(distinct key) as keys
         from (select key, (convert_from(value, 'UTF8')::jsonb->>'sequence')::bigint as sequence from messaging.log
               where topic = (select id from messaging.topics where name = 'loyalty.points')) told`,
      );
      expect(sequences?.['distinct']).toBe(sequences?.['messages']);
      expect(sequences?.['firsts']).toBe(sequences?.['keys']);
    },
    LONG_MS,
  );

  it(
    'gives back to the last row, also over what is there where that is said',
    async () => {
      const one = copy as RunningClub;
      const before = await digest(await owner(one));
      const places = await placesOf(await owner(one));
      expect(await one.json('backup', 'whole.vafa')).toMatchObject({ code: 0 });
      await one.stop();
      const refused = await one.vafa('restore', 'whole.vafa');
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') });
      expect(await one.json('restore', 'whole.vafa', '--force')).toMatchObject({ code: 0 });
      await one.start();
      const after = await digest(await owner(one));
      expect(after).toEqual(before);
      const placesAfter = await placesOf(await owner(one));
      expect(places.size).toBeGreaterThan(0);
      expect([...places].filter(([consumer, place]) => (placesAfter.get(consumer) ?? -1n) < place)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    'is refused while it runs, when it is not whole, when it was changed, and when it is of a newer version',
    async () => {
      expect(await club.vafa('restore', 'copy.vafa', '--force')).toMatchObject({ code: 1 });
      const bytes = await readFile(inFolder('copy.vafa'));
      const spoilt = Buffer.from(bytes);
      spoilt[1_000] = (spoilt[1_000] ?? 0) ^ 1;
      const newer = Buffer.from(bytes.toString('latin1').replaceAll('FirstTables1795', 'LastTables17959'), 'latin1');
      const files: readonly (readonly [string, Buffer, RegExp])[] = [
        ['half', bytes.subarray(0, bytes.length / 2), /cut off|not a whole backup/],
        ['spoilt', spoilt, /damaged/],
        ['newer', newer, /newer version/],
        ['other', Buffer.from('no archive at all'.repeat(100)), /not a backup/],
      ];
      for (const [name, content, words] of files) {
        await writeFile(inFolder(name), content);
        const { code, stderr } = await club.vafa('restore', name, '--force');
        expect({ name, code }).toEqual({ name, code: 1 });
        expect(stderr).toMatch(words);
      }
    },
    LONG_MS,
  );

  it(
    'killed in the middle leaves no file that looks whole',
    async () => {
      // Somebody holds the last table, so that the backup is in the middle for as long as we want.
      const holder = new pg.Client({ connectionString: await owner(club) });
      await holder.connect();
      await holder.query('begin');
      await holder.query('lock table points.transactions in access exclusive mode');
      const child = club.program('cli/dist/main.js', 'backup', 'killed.vafa');
      await eventually(async () => expect(await readdir(club.folder)).toContain('killed.vafa.partial'), 60_000);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await holder.end();
      expect(await readdir(club.folder)).not.toContain('killed.vafa');
      expect(await club.json('backup', 'killed.vafa')).toMatchObject({ code: 0 });
      expect(await readdir(club.folder)).not.toContain('killed.vafa.partial');
    },
    LONG_MS,
  );

  it(
    'killed in the middle of a restore, here into a PostgreSQL of its own, says at the next start what to do',
    async () => {
      const database = await createTestDatabase();
      const other = await RunningClub.stopped({ VAFA_DATABASE_URL: database.url });
      const holder = new pg.Client({ connectionString: database.url });
      try {
        expect(await other.json('restore', inFolder('copy.vafa'))).toMatchObject({ code: 0 });
        await holder.connect();
        await holder.query('begin');
        await holder.query('lock table eventstore.events in access share mode');
        const child = other.program('standalone/dist/restore-main.js', inFolder('copy.vafa'), '--force');
        await eventually(async () => {
          const { rows } = await holder.query(
            `select from pg_locks where not granted and mode = 'AccessExclusiveLock' and database = (select oid from pg_database where datname = current_database())`,
          );
          expect(rows).not.toEqual([]);
        }, 60_000);
        child.kill('SIGKILL');
        await once(child, 'exit');
        await holder.end();
        await expect(other.start()).rejects.toThrow(/restore of copy\.vafa.*was cut off/s);
        await eventually(
          async () => expect(await other.json('restore', inFolder('copy.vafa'))).toMatchObject({ code: 0 }),
          60_000,
        );
        await other.start();
        expect(await other.json('verify')).toMatchObject({ code: 0, ok: true });
      } finally {
        await other.dispose();
        await database.drop();
      }
    },
    LONG_MS,
  );
});
