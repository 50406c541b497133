import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
import kafkajs, { type KafkaMessage, type Producer } from 'kafkajs';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';

const broker = testKafka();

const PATIENCE_MS = 30_000;
const TYPE = 'commerce.purchase.completed';
const SOURCE = '/till/7';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

// Somebody else's client on the topics, by the published contract alone.
(broker === undefined ? describe.skip : describe)('points on Kafka', () => {
  const brokers = [...(broker?.brokers ?? [])];
  const prefix = kafkaPrefix();
  const kafka = new kafkajs.Kafka({ clientId: 'till', brokers, logLevel: kafkajs.logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `${prefix}reader`, maxWaitTimeInMs: 100 });
  const heard: KafkaMessage[] = [];
  let producer: Producer;
  let database: TestDatabase;
  let points: TestService<PointsConfig>;

  beforeAll(async () => {
    database = await createTestDatabase();
    points = await startTestService(pointsService, {
      url: database.url,
      env: { VAFA_KAFKA_BROKERS: brokers.join(','), VAFA_KAFKA_PREFIX: prefix },
    });
    producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [`${prefix}loyalty.points`], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => void heard.push(message) });
  });

  afterAll(async () => {
    await consumer.disconnect();
    await producer.disconnect();
    await points.close();
    await dropKafkaTopics(brokers, prefix);
    await database.drop();
  });

  const purchase = (purchaseId: string, member: string) => ({
    purchaseId,
    member,
    occurredAt: '2026-05-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount: 1_530, kind: 'goods' }],
    total: 1_530,
  });

  const send = (message: { key: string | null; value: Buffer; headers: Record<string, string | Buffer> }) =>
    producer.send({ topic: `${prefix}commerce.purchases`, acks: -1, messages: [message] });

  type Told = { type: string; sequence: number; data: { purchaseId: string } };
  const said = (purchaseId: string) =>
    heard
      .map(({ key, value, headers }) => ({
        key: String(key),
        trace: headers?.['traceparent']?.toString(),
        event: JSON.parse(String(value)) as Told,
      }))
      .find(({ event }) => event.data.purchaseId === purchaseId);

  it('takes structured and binary CloudEvents of another client, and tells on loyalty.points what became of them', async () => {
    const member = `external:${uuidv7()}`;
    const envelope = { specversion: '1.0', id: uuidv7(), source: SOURCE, type: TYPE, time: '2026-05-01T10:00:01Z' };
    const structured = { ...envelope, datacontenttype: 'application/json', data: purchase('structured', member) };
    await send({
      key: member,
      value: Buffer.from(JSON.stringify(structured)),
      headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8', traceparent: TRACE },
    });
    const attributes = Object.entries(envelope).map(([name, value]) => [`ce_${name}`, Buffer.from(value)] as const);
    await send({
      key: member,
      value: Buffer.from(JSON.stringify(purchase('binary', member))),
      headers: { ...Object.fromEntries(attributes), 'content-type': Buffer.from('application/json') },
    });
    for (const purchaseId of ['structured', 'binary'])
      await eventually(() => {
        expect(said(purchaseId)).toMatchObject({
          key: member,
          event: { type: 'loyalty.purchase.waiting', specversion: '1.0', sequence: expect.any(Number) },
        });
      }, PATIENCE_MS);
    expect([said('structured'), said('binary')].map((one) => one?.event.sequence)).toEqual([1, 2]);
    expect([said('structured'), said('binary')].map((one) => one?.trace)).toEqual([TRACE, undefined]);
  });

  it('answers over HTTP with what came on the topic, and the other way round', async () => {
    const data = purchase(uuidv7(), `external:${uuidv7()}`);
    const event = { specversion: '1.0', id: uuidv7(), source: SOURCE, type: TYPE, data };
    const headers = { 'content-type': 'application/cloudevents+json', prefer: 'wait=20' };
    const answer = await points.call<{ status: string }>('POST', '/v1/purchases', { body: event, headers });
    expect(answer).toMatchObject({ status: 200, body: { status: 'waiting', purchaseId: data.purchaseId } });
    await eventually(() => expect(said(data.purchaseId)).toBeDefined(), PATIENCE_MS);
    const binary = await points.call<{ status: string }>(
      'GET',
      `/v1/purchases?source=${encodeURIComponent(SOURCE)}&purchaseId=binary`,
    );
    expect(binary.body).toMatchObject({ status: 'waiting', source: SOURCE });
  });

  it('shows in readiness what waits to be taken to the brokers', async () => {
    await eventually(
      async () =>
        expect(await points.call('GET', '/health/ready')).toMatchObject({
          status: 200,
          body: { checks: { outbox: { ok: true, figures: { messagesWaiting: 0 } } } },
        }),
      PATIENCE_MS,
    );
  });

  it('puts what is not valid aside, whatever its bytes and key are, and goes on', async () => {
    const member = `external:${uuidv7()}`;
    await send({ key: '\0', value: Buffer.from([0xff, 0x00]), headers: {} });
    await send({ key: 'k'.repeat(5_000), value: Buffer.alloc(300_000, 'x'), headers: { h: Buffer.from([0xff]) } });
    const data = purchase(uuidv7(), member);
    const event = { specversion: '1.0', id: uuidv7(), source: SOURCE, type: TYPE, data };
    await send({ key: member, value: Buffer.from(JSON.stringify(event)), headers: {} });
    await eventually(() => expect(said(data.purchaseId)).toBeDefined(), PATIENCE_MS);
    const { deadLetters } = points.context;
    await eventually(async () => {
      const letters = await deadLetters.list({ group: pointsService.group, limit: 10 });
      expect(letters.map(({ kind, reason }) => [kind, reason.split(':')[0]]).toSorted()).toEqual([
        ['invalid', 'not-utf8'],
        ['invalid', 'too-large'],
      ]);
    }, PATIENCE_MS);
  });
});
