import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { outgoingEvent } from '@vafa/contracts';
import { enqueueEvents } from '@vafa/messaging';
import {
  createTestDatabase,
  dropKafkaTopics,
  eventually,
  kafkaPrefix,
  startTestService,
  testKafka,
  type TestDatabase,
  type TestService,
} from '@vafa/testing';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples/publish');
const PATIENCE_MS = 30_000;
const RUN_MS = 120_000;
/** From a registry over the network, which may be slow, or away for a moment. */
const INSTALL_MS = 300_000;
const INSTALL_ATTEMPTS_MAX = 3;
const OCCURRED_AT = '2026-05-01T10:00:00Z';

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

const run = async (
  command: readonly string[],
  env: Record<string, string> = {},
  timeoutMs = RUN_MS,
): Promise<Ended> => {
  const [program = '', ...words] = command;
  const { NODE_OPTIONS: _options, ...surroundings } = process.env;
  const child = spawn(program, words, { env: { ...surroundings, ...env }, timeout: timeoutMs });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
};

const broker = testKafka();

/** The Python of the example, with its client, which is installed where it is not there yet. */
const examplePython = async (): Promise<string> => {
  const requirements = (await readFile(join(EXAMPLES, 'python/requirements.txt'), 'utf8')).trim().split('\n');
  const name = `publish-${requirements.join('-').replaceAll('==', '-')}`;
  const venv = join(ROOT, 'tools/python-venv.mjs');
  for (let attempt = 1; ; attempt++) {
    const { code, stdout, stderr } = await run([process.execPath, venv, name, ...requirements], {}, INSTALL_MS);
    if (code === 0) return join(stdout.trim(), 'python');
    // One that was cut off may have left somebody at work in the folder.
    if (code === null || attempt === INSTALL_ATTEMPTS_MAX) throw new Error(stderr);
  }
};

const hasPython = broker !== undefined && spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0;
if (broker !== undefined && !hasPython)
  process.stderr.write('\nThe example in Python was not tried: Python 3 with its module venv is not here.\n');
let python = '';
const publishers: [string, string, boolean, () => string[]][] = [
  ['Node', 'node', true, () => [process.execPath, join(EXAMPLES, 'node/publish.mjs')]],
  ['Python', 'python', hasPython, () => [python, join(EXAMPLES, 'python/publish.py')]],
];

// What examples/publish shows, run as its README says, by clients that have nothing of ours.
(broker === undefined ? describe.skip : describe)('publishers of other languages', () => {
  const brokers = [...(broker?.brokers ?? [])];
  const prefix = kafkaPrefix();
  const kafka = { KAFKA_BROKERS: brokers.join(','), TOPIC_PREFIX: prefix };
  let database: TestDatabase;
  let points: TestService<PointsConfig>;

  beforeAll(async () => {
    if (hasPython) python = await examplePython();
  }, 2 * INSTALL_MS);

  beforeAll(async () => {
    database = await createTestDatabase();
    const env = { VAFA_KAFKA_BROKERS: brokers.join(','), VAFA_KAFKA_PREFIX: prefix };
    points = await startTestService(pointsService, { url: database.url, env });
  });

  afterAll(async () => {
    try {
      await points.close();
    } finally {
      await dropKafkaTopics(brokers, prefix);
      await database.drop();
    }
  });

  const enrol = async (externalId: string): Promise<string> => {
    const memberId = uuidv7();
    const enrolled = outgoingEvent({
      type: 'loyalty.member.enrolled',
      id: memberId,
      source: '/test',
      key: memberId,
      time: Temporal.Now.instant(),
      data: { memberId, externalId, card: null, enrolledAt: '2026-01-01T00:00:00Z', source: null },
    });
    const { bus, database: own } = points.context;
    await own.transaction((work) => enqueueEvents(work, bus, [enrolled]));
    const path = `/v1/members/external:${externalId}/points`;
    await eventually(async () => expect((await points.call('GET', path)).status).toBe(200), PATIENCE_MS);
    return memberId;
  };

  describe.each(publishers)('in %s', (_language, folder, isThere, command) => {
    const source = `/examples/${folder}`;
    const publish = (purchase: Record<string, string>): Promise<Ended> =>
      run(command(), { ...kafka, OCCURRED_AT, ...purchase });
    const when = isThere ? it : it.skip;

    when(
      'publish a purchase and hear what became of it: accepted, refused, waiting',
      async () => {
        const externalId = uuidv7();
        const memberId = await enrol(externalId);
        const purchase = { MEMBER: `external:${externalId}`, PURCHASE_ID: uuidv7() };
        const told = { source, purchaseId: purchase.PURCHASE_ID };
        const accepted = await publish(purchase);
        expect(accepted).toMatchObject({ code: 0, stderr: expect.stringContaining('acknowledged') });
        const taken = { type: 'loyalty.purchase.accepted', ...told, status: 'taken', memberId, points: 15 };
        expect(JSON.parse(accepted.stdout)).toMatchObject(taken);

        const other = await publish({ ...purchase, AMOUNT: '9900' });
        expect(other.code).toBe(1);
        const conflict = { type: 'loyalty.purchase.refused', ...told, status: 'conflict', reason: 'content-conflict' };
        expect(JSON.parse(other.stdout)).toMatchObject(conflict);

        const unknown = await publish({ MEMBER: `external:${uuidv7()}` });
        expect(unknown.code).toBe(0);
        expect(JSON.parse(unknown.stdout)).toMatchObject({ type: 'loyalty.purchase.waiting', source });

        const query = new URLSearchParams(told).toString();
        const { body } = await points.call('GET', `/v1/purchases?${query}`);
        expect(body).toMatchObject({ ...told, status: 'taken', points: 15 });
      },
      2 * RUN_MS,
    );

    when(
      'count once what is sent twice, of which is told once',
      async () => {
        const externalId = uuidv7();
        await enrol(externalId);
        const purchase = { MEMBER: `external:${externalId}`, PURCHASE_ID: uuidv7() };
        expect(await publish(purchase)).toMatchObject({ code: 0 });
        const again = await publish({ ...purchase, WAIT_SECONDS: '2' });
        expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('told once') });
        // Behind the repeat, since it has the same key.
        expect(await publish({ ...purchase, PURCHASE_ID: uuidv7() })).toMatchObject({ code: 0 });
        const { body } = await points.call('GET', `/v1/members/${purchase.MEMBER}/points`);
        expect(body).toMatchObject({ balance: 30 });
      },
      2 * RUN_MS,
    );

    when(
      'say what is wrong',
      async () => {
        expect(await run([...command(), '--help'])).toMatchObject({
          code: 0,
          stdout: expect.stringContaining('KAFKA_BROKERS'),
        });
        const misconfigured = await publish({ AMOUNT: 'much' });
        expect(misconfigured).toMatchObject({ code: 2, stderr: expect.stringContaining('AMOUNT') });
      },
      2 * RUN_MS,
    );
  });
});
