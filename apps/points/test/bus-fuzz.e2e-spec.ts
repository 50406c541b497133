import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeMessage, type KnownCloudEvent } from '@vafa/contracts';
import { createTestDatabase, eventually, startTestService, type TestDatabase, type TestService } from '@vafa/testing';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';

/** A failure names the seed: `VAFA_FUZZ_SEED=… VAFA_FUZZ_RUNS=…` repeats it, or looks further. */
const SEED = Number(process.env['VAFA_FUZZ_SEED'] ?? process.env['VAFA_TEST_SEED'] ?? Date.now() % 1_000_000_000);
const RUNS = Number(process.env['VAFA_FUZZ_RUNS'] ?? 400);
const PARTITIONS = 12;
const PATIENCE_MS = 60_000;

type Sent = { key: string | null; value: Buffer; headers: Record<string, string> };
type Letter = { offset: string; id: string; kind: string; reason: string };

const SAMPLES = new URL('../../../libs/contracts/samples/valid/', import.meta.url);
const samples = readdirSync(SAMPLES)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(new URL(name, SAMPLES), 'utf8')) as KnownCloudEvent);
const topicOf = ({ type }: KnownCloudEvent): string => {
  if (type.startsWith('commerce.activity')) return 'commerce.activities';
  return type === 'loyalty.member.enrolled' ? 'loyalty.members' : 'commerce.purchases';
};
const inbound = pointsService.topics;
const samplesOf = (topic: string): KnownCloudEvent[] =>
  samples.filter((one) => topicOf(one) === topic && !one.type.startsWith('loyalty.p'));

let database: TestDatabase;
let points: TestService<PointsConfig>;
const member = { id: uuidv7(), external: `sound-${uuidv7()}` };

beforeAll(async () => {
  database = await createTestDatabase();
  points = await startTestService(pointsService, { url: database.url, adapters: 'postgres' });
});
afterAll(async () => {
  await points.close();
  await database.drop();
});

const query = <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> =>
  points.context.database.query<Row>(sql, [...parameters]);

/** Past the limits of our own client, as another client of a broker could. Nobody else writes to these topics meanwhile. */
const send = async (topic: string, messages: readonly Sent[]): Promise<string[]> => {
  const rows = await query<{ position: number }>(
    `insert into messaging.log (topic, partition, key, headers, value)
     select (select id from messaging.topics where name = $1), (n - 1) % ${PARTITIONS}, key, headers, value
     from unnest($2::text[], $3::text[], $4::bytea[]) with ordinality as m (key, headers, value, n) order by n
     returning position`,
    [
      topic,
      messages.map(({ key }) => key),
      messages.map(({ headers }) => JSON.stringify(headers)),
      messages.map(({ value }) => value),
    ],
  );
  return rows.map(({ position }) => String(position));
};

const structured = (event: unknown, key: string | null = 'external:07592'): Sent => ({
  key,
  value: Buffer.from(JSON.stringify(event)),
  headers: { 'content-type': 'application/cloudevents+json' },
});

const binary = ({ data, ...attributes }: KnownCloudEvent, changes: Record<string, string> = {}): Sent => ({
  key: 'external:07592',
  value: Buffer.from(JSON.stringify(data)),
  headers: {
    ...Object.fromEntries(
      Object.entries(attributes).flatMap(([name, value]) =>
        name === 'datacontenttype' ? [] : [[`ce_${name}`, String(value)]],
      ),
    ),
    'content-type': 'application/json',
    ...changes,
  },
});

/** What the requirements name one by one, of one valid event. */
const named = (event: KnownCloudEvent): Sent[] => {
  const whole = structured(event);
  const text = whole.value.toString();
  const bytes = (value: Buffer | string): Sent => ({ ...whole, value: Buffer.from(value) });
  const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
  const data = (changes: object): Sent => structured({ ...event, data: { ...event.data, ...changes } });
  return [
    ...[bytes(''), bytes('null'), bytes('{}'), bytes('[]'), bytes('7'), bytes('"x"'), bytes(Buffer.alloc(64))],
    ...[
      bytes(text.slice(0, -2)),
      bytes(text.slice(0, text.length / 2)),
      bytes(`${text}${text}`),
      bytes(`\ufeff${text}`),
    ],
    bytes(Buffer.concat([whole.value.subarray(0, 30), Buffer.from([0xc3, 0x28]), whole.value.subarray(30)])),
    ...[bytes(`${text.slice(0, -1)}${' '.repeat(256 * 1_024)}}`), bytes(Buffer.alloc(300 * 1_024, 0xff))],
    ...[bytes(deep), bytes(text.replace('"data":{', `"data":{"deep":${deep},`))],
    ...[
      bytes(text.replace('{', '{"__proto__":{"type":"x"},')),
      bytes(text.replace('"data":{', '"data":{"__proto__":{"a":1},')),
    ],
    ...[bytes(text.replace('"data":{', '"data":{"constructor":{"prototype":{}},'))],
    ...['9007199254740993', '-1', '1e999', '0.1', '-0'].map((token) =>
      bytes(text.replace(/:\s*\d+(?=[,}])/, `:${token}`)),
    ),
    ...[structured({ ...event, specversion: '0.3' }), structured({ ...event, type: 'commerce.nothing.known' })],
    ...[structured({ ...event, type: `${event.type}.v2` }), structured({ ...event, type: '__proto__' })],
    ...[structured({ ...event, dataschema: 'https://example.com/other' }), structured({ ...event, data: null })],
    ...[
      structured(event, null),
      structured(event, ''),
      structured(event, 'k'.repeat(5_000)),
      structured(event, 'external:nobody'),
    ],
    ...['text/plain', 'application/avro', 'application/json; charset=utf-16', ''].map((type) => ({
      ...whole,
      headers: { 'content-type': type },
    })),
    ...[binary(event, { ce_specversion: '7' }), binary(event, { ce_type: '' }), binary(event, { ce_id: '\ud800' })],
    ...[binary(event, { ce_source: '\u0000' }), binary(event, { 'content-type': 'application/xml' })],
    ...[
      binary(event, { ce_data: 'x' }),
      binary(event, { ce_time: 'noon' }),
      { ...binary(event), value: Buffer.from('{') },
    ],
    ...[
      data({ occurredAt: '9999-99-99' }),
      data({ occurredAt: '0000-01-01T00:00:00Z' }),
      data({ member: 'phone:+989121234567' }),
    ],
    ...[
      data({ member: { $ne: null } }),
      data({ lines: [] }),
      data({ attributes: { a: '\ud800' } }),
      data({ toString: 1 }),
    ],
  ];
};

const ODD = [
  'null',
  '{}',
  '[]',
  '""',
  '-1',
  '9007199254740993',
  '1e400',
  'true',
  '"\\u0000"',
  '"\\ud800"',
  '"a\\nb"',
  '1.5',
  '"%s\\u202e"',
];

/** A valid event with some bytes, some values or some headers changed at random. */
const mutation = (topic: string): fc.Arbitrary<Sent> => {
  const event = fc.constantFrom(...samplesOf(topic));
  const key = fc.oneof(
    { weight: 8, arbitrary: fc.constant<string | null>('external:07592') },
    fc.constant(null),
    fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\0', '')),
  );
  const bytes = fc
    .tuple(
      event,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 20 }), fc.uint8Array({ maxLength: 12 })), {
        minLength: 1,
        maxLength: 4,
      }),
    )
    .map(([one, edits]) =>
      edits.reduce(
        (value, [at, length, put]) => {
          const start = at % (value.length + 1);
          return Buffer.concat([value.subarray(0, start), put, value.subarray(start + length)]);
        },
        Buffer.from(JSON.stringify(one)),
      ),
    );
  const values = fc
    .tuple(
      event,
      fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(...ODD), fc.json({ maxDepth: 4 }))), {
        minLength: 1,
        maxLength: 3,
      }),
    )
    .map(([one, edits]) =>
      Buffer.from(
        edits.reduce((text, [at, put]) => {
          const places = [...text.matchAll(/:("(?:[^"\\]|\\.)*"|[\d.]+|true|null)/g)];
          const place = places[at % Math.max(places.length, 1)];
          if (place === undefined) return text;
          return `${text.slice(0, place.index)}:${put}${text.slice(place.index + place[0].length)}`;
        }, JSON.stringify(one)),
      ),
    );
  const inHeaders = fc
    .tuple(
      event,
      fc.dictionary(
        fc.constantFrom(
          'ce_id',
          'ce_type',
          'ce_source',
          'ce_time',
          'ce_specversion',
          'ce_x',
          'content-type',
          '__proto__',
        ),
        fc.string({ unit: 'grapheme' }),
      ),
    )
    .map(([one, changes]) => binary(one, changes));
  const inBytes = fc
    .tuple(fc.oneof(bytes, values), key)
    .map(([value, name]) => ({ ...structured({}), value, key: name }));
  return fc.oneof({ weight: 4, arbitrary: inBytes }, { weight: 1, arbitrary: inHeaders });
};

const KINDS: Readonly<Record<string, [kind: string, id: string]>> = {
  'commerce.purchase.completed': ['purchase', 'purchaseId'],
  'commerce.purchase.returned': ['return', 'returnId'],
  'commerce.activity.performed': ['activity', 'activityId'],
};

/** Whether a valid event left its trace: in the register, or in who is behind which reference. */
const isTaken = async ({ type, source, data }: KnownCloudEvent): Promise<boolean> => {
  if ('memberId' in data && type === 'loyalty.member.enrolled') {
    const found = await query('select from points.account_references where reference = $1', [
      `member:${data.memberId}`,
    ]);
    return found.length > 0;
  }
  const [kind, id] = KINDS[type] ?? ['', ''];
  const naturalId = (data as Readonly<Record<string, unknown>>)[id];
  const found = await query(`select from points.claims where (kind, source, natural_id) = ($1, $2, $3)`, [
    kind,
    source,
    naturalId,
  ]);
  return found.length > 0;
};

const lettersOf = async (topic: string): Promise<Map<string, Letter>> => {
  const found = await query<Letter>(
    `select "offset"::text as "offset", id, kind, reason from messaging.dead_letters where topic = $1`,
    [topic],
  );
  return new Map(found.map((letter) => [letter.offset, letter]));
};

/** Sound purchases of an enrolled member on every partition are taken: the service lives, and no partition stands still. */
const expectItGoesOn = async (): Promise<void> => {
  const purchases = Array.from({ length: PARTITIONS }, () => ({
    ...samplesOf('commerce.purchases').find(({ type }) => type === 'commerce.purchase.completed'),
    source: '/sound',
    id: uuidv7(),
    data: {
      purchaseId: uuidv7(),
      member: `external:${member.external}`,
      occurredAt: '2026-05-01T10:00:00Z',
      currency: 'EUR',
      lines: [{ lineId: '1', amount: 1_000, kind: 'goods' }],
      total: 1_000,
    },
  }));
  sound += purchases.length;
  await send(
    'commerce.purchases',
    purchases.map((one) => structured(one, `external:${member.external}`)),
  );
  const [activity] = samplesOf('commerce.activities');
  const activities = Array.from({ length: PARTITIONS }, () => ({
    ...activity,
    source: '/sound',
    data: { ...activity?.data, activityId: uuidv7(), member: `external:${member.external}` },
  }));
  await send(
    'commerce.activities',
    activities.map((one) => structured(one)),
  );
  await eventually(async () => {
    const [row] = await query<{ taken: number }>(
      `select count(*)::int as taken from points.claims where source = '/sound' and status = 'taken'`,
    );
    expect(row?.taken).toBe(sound * 2);
  }, PATIENCE_MS);
};
let sound = 0;

/** Nothing moved but what sound purchases and valid ones of an enrolled member earn, each once. */
const expectLedgerUntouched = async (): Promise<void> => {
  await eventually(async () => {
    const [row] = await query<{ movements: number; claims: number; points: number }>(
      `select (select count(*)::int from points.transactions where kind = 'earned') as movements,
         (select count(*)::int from points.claims where kind = 'purchase' and status = 'taken') as claims,
         (select sum(amount)::int from points.transactions where source = '/sound') as points`,
    );
    expect(row?.movements).toBe(row?.claims);
    expect(row?.points).toBe(sound * 10);
  }, PATIENCE_MS);
};

const expectLettersOrTaken = async (topic: string, messages: readonly Sent[]): Promise<void> => {
  const offsets = await send(topic, messages);
  expect(offsets).toHaveLength(messages.length);
  await expectItGoesOn();
  await eventually(async () => {
    const metrics = await points.service.metrics.content();
    expect(metrics).toMatch(new RegExp(`^vafa_consumer_lag_messages\\{.*topic="${topic}".*\\} 0$`, 'm'));
    expect(metrics).toMatch(/^vafa_consumer_stopped_partitions\{.*\} 0$/m);
  }, PATIENCE_MS);
  const letters = await lettersOf(topic);
  for (const [i, message] of messages.entries()) {
    const { value, key, headers } = message;
    const decoded = decodeMessage(value, { headers, key });
    const letter = letters.get(offsets[i] ?? '');
    const told = `${topic} ${JSON.stringify({ key, headers })} ${value.subarray(0, 2_000).toString()} (seed ${SEED})`;
    if (letter === undefined) {
      expect([decoded.ok && (await isTaken(decoded.event)), told]).toEqual([true, told]);
      continue;
    }
    expect([letter.kind === 'invalid' || letter.kind === 'unhandled', letter.reason, told]).toEqual([
      true,
      expect.any(String),
      told,
    ]);
    if (!decoded.ok && !letter.reason.startsWith('invalid-key'))
      expect(letter.reason).toMatch(new RegExp(`^${decoded.reason}: `));
    const shown = await points.context.deadLetters.show(letter.id);
    expect([shown?.value.equals(value), shown?.headers]).toEqual([true, JSON.parse(JSON.stringify(headers))]);
  }
  await expectLedgerUntouched();
};

describe(`the bus, fuzzed (seed ${SEED})`, () => {
  it('begins with a member whose purchases are taken', async () => {
    const [enrolled] = samplesOf('loyalty.members');
    const data = {
      memberId: member.id,
      externalId: member.external,
      card: null,
      enrolledAt: '2026-01-01T00:00:00Z',
      source: null,
    };
    await send('loyalty.members', [structured({ ...enrolled, id: member.id, data }, member.id)]);
    await eventually(async () =>
      expect(await query('select from points.account_references where member_id = $1', [member.id])).toHaveLength(2),
    );
    await expectItGoesOn();
  });

  it.each(inbound)(
    'keeps what is not valid on %s with bytes and reason, and goes on',
    async (topic) => {
      for (const event of samplesOf(topic)) await expectLettersOrTaken(topic, named(event));
    },
    5 * PATIENCE_MS,
  );

  it.each(inbound)(
    'keeps or takes whatever valid events on %s turn into',
    async (topic) => {
      const messages = fc.sample(mutation(topic), { seed: SEED, numRuns: RUNS });
      await expectLettersOrTaken(topic, messages);
    },
    5 * PATIENCE_MS,
  );
});
