import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { dropKafkaTopics, eventually, kafkaPrefix, testKafka } from '@vafa/testing';
import kafkajs, { type Consumer, type Producer } from 'kafkajs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidv7 } from 'uuidv7';
import { RunningClub } from './running-club.js';

const broker = testKafka();
const PATIENCE_MS = 60_000;
const SOURCE = '/till/7';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

type Told = {
  readonly trace: string | undefined;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
};

// `VAFA_KAFKA_BROKERS=… npm start`: everything embedded but the bus.
(broker === undefined ? describe.skip : describe)('npm start on the brokers of somebody else', () => {
  const brokers = [...(broker?.brokers ?? [])];
  const prefix = kafkaPrefix();
  const kafka = new kafkajs.Kafka({ clientId: 'till', brokers, logLevel: kafkajs.logLevel.NOTHING });
  const heard: Told[] = [];
  let producer: Producer;
  let consumer: Consumer;
  let club: RunningClub;

  beforeAll(async () => {
    club = await RunningClub.stopped({ VAFA_KAFKA_BROKERS: brokers.join(','), VAFA_KAFKA_PREFIX: prefix });
    await club.start();
    producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    consumer = kafka.consumer({ groupId: `${prefix}reader`, maxWaitTimeInMs: 100 });
    await producer.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [`${prefix}loyalty.points`], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { value, headers } }) => {
        const trace = headers?.['traceparent']?.toString();
        heard.push({ ...(JSON.parse(String(value)) as Omit<Told, 'trace'>), trace });
      },
    });
  });

  afterAll(async () => {
    await consumer.disconnect();
    await producer.disconnect();
    await club.dispose();
    await dropKafkaTopics(brokers, prefix);
  });

  const call = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> => {
    const { api } = JSON.parse(await readFile(join(club.folder, 'data', 'run.json'), 'utf8')) as { api: string };
    const { stdout } = await club.vafa('token', '--role', 'admin', '--expires', '5m');
    const headers = { authorization: `Bearer ${stdout.trim()}`, 'content-type': 'application/json' };
    const response = await fetch(`${api}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };

  it('takes a purchase of a plain client, tells on loyalty.points what became of it, and answers over HTTP', async () => {
    const externalId = uuidv7();
    const member = `external:${externalId}`;
    expect((await call('POST', '/v1/members', { externalId })).status).toBe(201);
    const points = `/v1/members/${member}/points`;
    await eventually(async () => expect((await call('GET', points)).status).toBe(200), PATIENCE_MS);
    const purchaseId = uuidv7();
    const occurredAt = '2026-05-01T10:00:00Z';
    const lines = [{ lineId: '1', amount: 1_530, kind: 'goods' }];
    const data = { purchaseId, member, occurredAt, currency: 'EUR', lines, total: 1_530 };
    const event = { specversion: '1.0', id: uuidv7(), source: SOURCE, type: 'commerce.purchase.completed', data };
    const headers = { 'content-type': 'application/cloudevents+json', traceparent: TRACE };
    await producer.send({
      topic: `${prefix}commerce.purchases`,
      acks: -1,
      messages: [{ key: member, value: JSON.stringify(event), headers }],
    });
    await eventually(
      () =>
        expect(heard.find(({ data: told }) => told['purchaseId'] === purchaseId)).toMatchObject({
          type: 'loyalty.purchase.accepted',
          trace: TRACE,
        }),
      PATIENCE_MS,
    );
    await eventually(
      async () => expect(await call('GET', points)).toMatchObject({ status: 200, body: { balance: 15 } }),
      PATIENCE_MS,
    );
    const earned = heard.filter(({ type }) => type === 'loyalty.points.earned');
    expect(earned.map(({ trace }) => trace)).toEqual([TRACE]);
  });
});
