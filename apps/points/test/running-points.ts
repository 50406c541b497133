import { expect } from '@jest/globals';
import { outgoingEvent } from '@vafa/contracts';
import { enqueueEvents } from '@vafa/messaging';
import { FixedClock, type Environment } from '@vafa/service';
import { createTestDatabase, eventually, startTestService } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import { pointsService } from '../src/index.js';

export type RunningPoints = Awaited<ReturnType<typeof runPoints>>;
type Taken = { status: string; points: number; transactionId: string };

/** Points as it runs, on a database of its own, with a clock that stands at `now`. */
export const runPoints = async (now: string, env: Environment = {}) => {
  const database = await createTestDatabase();
  const clock = new FixedClock(now);
  const points = await startTestService(pointsService, { url: database.url, adapters: 'postgres', clock, env });

  /** Tells of an enrolment as members does, and answers once points knows of it. */
  const enrol = async (): Promise<string> => {
    const memberId = uuidv7();
    const { bus, database: own } = points.context;
    const enrolled = outgoingEvent({
      type: 'loyalty.member.enrolled',
      id: memberId,
      source: '/test',
      key: memberId,
      time: Temporal.Now.instant(),
      data: { memberId, externalId: null, card: null, enrolledAt: '2026-01-01T00:00:00Z', source: null },
    });
    await own.transaction((work) => enqueueEvents(work, bus, [enrolled]));
    await eventually(async () => expect((await read(memberId, '')).status).toBe(200));
    return memberId;
  };

  const read = <Body>(memberId: string, path: string, headers: Record<string, string> = {}) =>
    points.call<Body>('GET', `/v1/members/${memberId}/points${path}`, { headers });

  /** A purchase that earns so many points, visible by the time this answers; then when it was recorded. */
  const buy = async (
    memberId: string,
    amount: number,
    occurredAt: string,
    { purchaseId = uuidv7() }: { purchaseId?: string } = {},
  ): Promise<{ id: string; known: string }> => {
    const data = {
      purchaseId,
      member: `member:${memberId}`,
      occurredAt,
      currency: 'EUR',
      lines: [{ lineId: '1', amount: amount * 100, kind: 'goods' }],
      total: amount * 100,
    };
    const event = { specversion: '1.0', id: uuidv7(), source: '/till', type: 'commerce.purchase.completed', data };
    const answer = await points.call<Taken>('POST', '/v1/purchases', { body: event, headers: { prefer: 'wait=20' } });
    expect(answer.body).toMatchObject({ status: 'taken', points: amount });
    const { transactionId: id } = answer.body;
    type Explained = { transaction: { recordedAt: string } };
    const { body } = await read<Explained>(memberId, `/transactions/${id}/explanation`);
    return { id, known: body.transaction.recordedAt };
  };

  const close = async (): Promise<void> => {
    await points.close();
    await database.drop();
  };

  return { points, clock, enrol, read, buy, close };
};
