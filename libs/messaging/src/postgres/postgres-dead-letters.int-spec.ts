import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { withTestDatabase } from '@vafa/testing';
import { randomBytes } from 'node:crypto';
import {
  DeadLettersFull,
  LetterNotReplayable,
  MemoryMessageBus,
  messagingMigrations,
  PostgresDeadLetters,
  type DeadLetter,
  type LetterKind,
  type NewLetter,
} from '../index.js';

const TOPIC = 'things';
const GROUP = 'service';
const contentKey = randomBytes(32);
const test = withTestDatabase();

let database: Database;
let bus: MemoryMessageBus;
let letters: PostgresDeadLetters;
let offset: number;

beforeEach(async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  const options = { url: test.url, schema, role, poolSize: 6, applicationName: 'letters', onError: () => undefined };
  database = await Database.connect(options);
  await database.query('truncate messaging.dead_letters, messaging.parked_keys');
  bus = new MemoryMessageBus();
  await bus.ensureTopics([{ name: TOPIC, partitions: 3, retentionMs: 3_600_000 }]);
  letters = new PostgresDeadLetters(database, bus, contentKey);
  offset = 0;
});

afterEach(async () => {
  await bus.close();
  await database.close();
});

const letter = (kind: LetterKind, key: string | null, changes: { value?: Buffer; header?: string } = {}): NewLetter => {
  const { value = Buffer.from('{}'), header = 'v' } = changes;
  const message = { topic: TOPIC, partition: 0, offset: String(++offset), key, value, headers: { h: header } };
  return { message, kind, reason: 'broken' };
};
const several = (count: number, kind: LetterKind, key: string | null): NewLetter[] =>
  Array.from({ length: count }, () => letter(kind, key));
const all = (): Promise<DeadLetter[]> => letters.list({ group: GROUP, limit: 1_000 });
const ids = async (): Promise<string[]> => (await all()).map(({ id }) => id);
const parked = (): Promise<{ key: string; state: string }[]> =>
  database.query('select key, state from messaging.parked_keys order by key');

describe('dead letters are bounded', () => {
  it('per key and per group, each page kept as a whole or not at all; a repeat takes no room', async () => {
    const bounded = new PostgresDeadLetters(database, bus, contentKey, { openPerKeyMax: 3, openMax: 5 });
    const first = [letter('failed', 'k'), ...several(2, 'behind', 'k')];
    await bounded.add(GROUP, first);
    await bounded.add(GROUP, first);
    await expect(bounded.add(GROUP, [letter('invalid', 'l'), letter('behind', 'k')])).rejects.toMatchObject({
      name: 'DeadLettersFull',
      scope: 'key',
      limit: 3,
    });
    expect(await all()).toHaveLength(3);
    await bounded.add(GROUP, several(2, 'invalid', 'k'));
    await expect(bounded.add(GROUP, [letter('invalid', 'm')])).rejects.toBeInstanceOf(DeadLettersFull);
    await bounded.add('another', [letter('invalid', 'm')]);
    await bounded.discard((await ids()).slice(0, 1), 'room');
    await bounded.add(GROUP, [letter('invalid', 'm')]);
    expect(await all()).toHaveLength(6);
  });

  it('in what one round brings, by bytes as well', async () => {
    const value = randomBytes(250 * 1_024);
    for (let page = 0; page < 4; page++)
      await letters.add(GROUP, [
        letter('failed', 'k', { value }),
        ...Array.from({ length: 19 }, () => letter('behind', 'k', { value })),
      ]);
    const sent = await letters.replay((await ids()).slice(0, 1));
    expect(sent * value.length).toBeLessThanOrEqual(17 * 1_024 * 1_024);
    expect(sent).toBeGreaterThan(60);
    expect(sent).toBeLessThan(80);
  });

  it('in time: what is past its retention goes in batches, by one at a time, and its key goes on', async () => {
    await letters.add(GROUP, [letter('failed', 'k'), letter('behind', 'k'), ...several(2_300, 'invalid', null)]);
    await database.query(`update messaging.dead_letters set at = at - interval '40 days'`);
    await database.transaction(async (work) => {
      await work.query(`select pg_advisory_xact_lock(hashtext('vafa.dead-letters.purge'))`);
      expect(await letters.purge()).toBe(0);
    });
    const short = new PostgresDeadLetters(database, bus, contentKey, { retentionMs: 41 * 24 * 3_600_000 });
    expect(await short.purge()).toBe(0);
    expect(await letters.purge()).toBe(2_301);
    expect(await all()).toMatchObject([{ kind: 'behind', status: 'replaying' }]);
    expect(await parked()).toEqual([{ key: 'k', state: 'replaying' }]);
  });

  it('in time, without what was never tried: it comes when what it waited for is gone, and fails for itself at most', async () => {
    await letters.add(GROUP, [letter('failed', 'k'), ...several(2, 'behind', 'k')]);
    await database.query(`update messaging.dead_letters set at = at - interval '40 days'`);
    expect(await letters.purge()).toBe(1);
    expect(await letters.purge()).toBe(0);
    const sent = await all();
    expect(sent).toMatchObject([
      { kind: 'behind', status: 'replaying' },
      { kind: 'behind', status: 'replaying' },
    ]);
    const [first, second] = sent.map(({ id }) => ({ group: GROUP, letterId: id, round: 1 }));
    if (first === undefined || second === undefined) throw new Error('two were sent');
    await letters.settle([first]);
    // The second cannot be taken in: it is a letter of its own from here on, as young as its failure.
    await letters.add(GROUP, [{ ...letter('failed', 'k'), replay: second }]);
    expect(await letters.purge()).toBe(1);
    expect(await all()).toMatchObject([{ id: second.letterId, kind: 'failed', status: 'waiting' }]);
    expect(await parked()).toEqual([{ key: 'k', state: 'parked' }]);
  });
});

describe('dead letters', () => {
  it('are settled together with what is written alongside, or not at all', async () => {
    await letters.add(GROUP, [letter('failed', 'k'), letter('behind', 'k'), letter('invalid', null)]);
    const before = await all();
    const refuse = (): Promise<never> => Promise.reject(new Error('the audit is away'));
    await expect(letters.replay(await ids(), refuse)).rejects.toThrow('the audit is away');
    await expect(letters.discard(await ids(), 'why', refuse)).rejects.toThrow('the audit is away');
    expect(await all()).toEqual(before);
    expect(await parked()).toEqual([{ key: 'k', state: 'parked' }]);
    const told: { ids: number; sent: number }[] = [];
    const failed = before.find(({ kind }) => kind === 'failed');
    await letters.replay([failed?.id ?? ''], async (_work, { ids: done, sent }) => {
      told.push({ ids: done.length, sent });
    });
    expect(told).toEqual([{ ids: 1, sent: 2 }]);
  });

  it('of messages that the bus does not take again are kept, and can be discarded', async () => {
    await letters.add(GROUP, [
      letter('invalid', 'k', { value: randomBytes(300 * 1_024) }),
      letter('invalid', 'l', { header: 'x'.repeat(17 * 1_024) }),
    ]);
    for (const id of await ids()) {
      expect((await letters.show(id))?.headers).toHaveProperty('h');
      await expect(letters.replay([id])).rejects.toBeInstanceOf(LetterNotReplayable);
    }
    expect((await all()).map(({ status }) => status)).toEqual(['waiting', 'waiting']);
    expect(await letters.discard(await ids(), 'too large')).toBe(2);
  });

  it('of keys that no column takes are kept under another name', async () => {
    const long = 'k'.repeat(100_000);
    await letters.add(GROUP, [letter('invalid', 'a\0b'), letter('invalid', long), letter('invalid', `${long}2`)]);
    const keys = (await all()).map(({ key }) => key);
    expect(keys).toContain('a␀b');
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(Buffer.byteLength(key ?? '')).toBeLessThan(512);
  });

  it('never leave a key parked with nothing that waits for it', async () => {
    const failed = letter('failed', 'k');
    await letters.add(GROUP, [failed]);
    await letters.discard(await ids(), 'not wanted');
    expect(await parked()).toEqual([]);
    // Its message comes once more and fails again: it was given up for good.
    await letters.add(GROUP, [failed]);
    expect(await parked()).toEqual([]);
    await Promise.all([letters.replay(await ids()), letters.replay(await ids())]);
    expect(await parked()).toEqual([]);
  });

  it('are added, replayed, settled and discarded at once without a deadlock or a key left behind', async () => {
    const keys = ['a', 'b', 'c'];
    const rounds = Array.from({ length: 30 }, async (_, i) => {
      await letters.add(
        GROUP,
        [...keys, ...keys].map((key, j) => letter(j < 3 ? 'failed' : 'behind', key)),
      );
      const found = await all();
      const some = found.filter((_letter, j) => j % 3 === i % 3).map(({ id }) => id);
      await (i % 2 === 0 ? letters.replay(some) : letters.discard(some, 'why'));
      await letters.settle(found.map(({ id }) => ({ group: GROUP, letterId: id, round: 0 })));
    });
    await Promise.all(rounds);
    await letters.discard(await ids(), 'the end');
    expect(await parked()).toEqual([]);
  });
});
