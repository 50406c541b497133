import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withTestDatabase } from '@vafa/testing';
import pg from 'pg';
import { RunningClub } from './running-club.js';

const LONG_MS = 5 * 60_000;

describe('vafa migrate', () => {
  let here: RunningClub;
  let nowhere: RunningClub;

  // Before the database, which goes last.
  afterAll(async () => {
    await here.dispose();
    await nowhere.dispose();
  });
  const database = withTestDatabase();

  beforeAll(async () => {
    here = await RunningClub.stopped({ VAFA_DATABASE_URL: database.url });
    nowhere = await RunningClub.stopped();
  });

  it(
    'makes the tables of every service once, also where two do it at the same time',
    async () => {
      const both = await Promise.all([here.json('migrate'), here.json('migrate')]);
      expect(both.map(({ code }) => code)).toEqual([0, 0]);
      const migrated = both.flatMap((one) => one['migrated'] as string[]);
      expect(new Set(migrated).size).toBe(migrated.length);
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      const { rows } = await client.query<{ schema: string }>(
        `select distinct table_schema as schema from information_schema.tables where table_schema in ('members', 'points', 'messaging', 'eventstore') order by 1`,
      );
      await client.end();
      expect(rows.map(({ schema }) => schema)).toEqual(['eventstore', 'members', 'messaging', 'points']);
      expect(await here.json('migrate')).toMatchObject({ code: 0, migrated: [] });
    },
    LONG_MS,
  );

  it(
    'says which setting is missing',
    async () => {
      const { code, stderr } = await nowhere.vafa('migrate');
      expect(code).toBe(2);
      expect(stderr).toContain('VAFA_DATABASE_URL');
    },
    LONG_MS,
  );
});
