import { describe, expect, it } from '@jest/globals';
import type { Actor } from '@vafa/service';
import { eventually } from '@vafa/testing';
import pg from 'pg';
import { Enrolment, type Enrolled } from '../src/application/enrolment.js';
import { isCardNumber } from '../src/domain/card-number.js';
import type { EnrolmentRequest } from '../src/domain/enrolment.js';
import { NOW, withClub } from './club.js';

const club = withClub();
const enrolment = (cardPrefix = '97'): Enrolment => {
  const { database, audit, bus, clock } = club.running.context;
  return new Enrolment({ database, audit, bus, clock, cardPrefix });
};
const till: Actor = { subject: 'till-7', role: 'service', clientId: 'tills', requestId: null };

const request = (externalId: string | null, more: Partial<EnrolmentRequest> = {}): EnrolmentRequest => ({
  externalId,
  enrolledAt: null,
  source: null,
  issueCard: false,
  ...more,
});

const enrol = async (
  requests: readonly EnrolmentRequest[],
  key: string | null = null,
): Promise<readonly Enrolled[]> => {
  const outcome = await enrolment().enrol(requests, key === null ? null : { clientId: 'test', key }, till);
  if (!outcome.accepted) throw new Error(outcome.rejection.code);
  return outcome.enrolled;
};

const count = async (): Promise<number> => {
  const [row] = await club.running.context.database.query<{ n: number }>('select count(*) as n from members.members');
  return row?.n ?? 0;
};

describe('enrolment', () => {
  it('makes a member once, and gives the same one again', async () => {
    const [first] = await enrol([
      request('a-1', { enrolledAt: Temporal.Instant.from('1997-01-01T00:00:00.1239Z'), source: 'till' }),
    ]);
    const [again] = await enrol([request('a-1', { source: 'elsewhere', issueCard: true })]);
    expect(first).toMatchObject({
      created: true,
      member: { externalId: 'a-1', source: 'till', card: null, status: 'active' },
    });
    expect(first?.member.enrolledAt.toString()).toBe('1997-01-01T00:00:00.123Z');
    expect(again?.created).toBe(false);
    expect({ ...again?.member }).toEqual({ ...first?.member });
  });

  it('answers a batch in its order, whoever was there before and whoever comes twice', async () => {
    const [known] = await enrol([request('b-5')]);
    const enrolled = await enrol(['b-9', 'b-5', 'b-1', 'b-9'].map((id) => request(id)));
    expect(enrolled.map(({ member, created }) => [member.externalId, created])).toEqual([
      ['b-9', true],
      ['b-5', false],
      ['b-1', true],
      ['b-9', false],
    ]);
    expect(enrolled[1]?.member.memberId).toBe(known?.member.memberId);
    expect(enrolled[3]?.member).toBe(enrolled[0]?.member);
  });

  it('makes one member of one external id, however many ask at once and in whatever order', async () => {
    const before = await count();
    const ids = Array.from({ length: 40 }, (_, index) => `c-${String(index)}`);
    const batches = Array.from({ length: 12 }, (_, turn) =>
      (turn % 2 === 0 ? ids : ids.toReversed()).map((id) => request(id)),
    );
    const answers = await Promise.all(batches.map((batch) => enrol(batch)));
    expect(await count()).toBe(before + ids.length);
    for (const id of ids) {
      const members = answers.flatMap((answer) => answer.filter(({ member }) => member.externalId === id));
      expect(new Set(members.map(({ member }) => member.memberId)).size).toBe(1);
      expect(members.filter(({ created }) => created)).toHaveLength(1);
    }
  });

  it('publishes each new member once, in the transaction that makes it', async () => {
    const [enrolled] = await enrol([request('d-1', { issueCard: true })]);
    await enrol([request('d-1')]);
    const { memberId, card } = enrolled?.member ?? {};
    await eventually(() => {
      expect(club.published.filter(({ data }) => 'externalId' in data && data.externalId === 'd-1')).toEqual([
        expect.objectContaining({
          type: 'loyalty.member.enrolled',
          sequence: 1,
          data: { memberId, externalId: 'd-1', card, enrolledAt: NOW, source: null },
        }),
      ]);
    });
    expect(isCardNumber(card ?? '')).toBe(true);
  });

  it('knows a repeated request by its key, and refuses the key for another', async () => {
    const before = await count();
    const two = [request(null, { issueCard: true }), request(null)];
    const [one, other] = await Promise.all([enrol(two, 'k-1'), enrol(two, 'k-1')]);
    expect(one?.map(({ member }) => ({ ...member }))).toEqual(other?.map(({ member }) => ({ ...member })));
    expect(await count()).toBe(before + 2);
    await expect(enrol([request(null)], 'k-1')).rejects.toThrow('idempotency-key-reused');
    const stranger = await enrolment().enrol(two, { clientId: 'another', key: 'k-1' }, till);
    expect(stranger.accepted && stranger.enrolled.every(({ created }) => created)).toBe(true);
  });

  it('draws another number for a card that somebody has', async () => {
    const [held] = await enrol([request('e-1', { issueCard: true })]);
    const taken = held?.member.card ?? '';
    // A prefix of all digits but the check digit leaves one single number to draw.
    const full = enrolment(taken.slice(0, -1));
    await expect(full.enrol([request('e-2', { issueCard: true })], null, till)).rejects.toThrow('No free card number');
    expect(await enrol([request('e-2')])).toMatchObject([{ created: true }]);
  });

  it('leaves nothing behind where the transaction fails', async () => {
    const before = await count();
    await expect(enrol([request('f-1'), request('f-\0')])).rejects.toThrow();
    expect(await count()).toBe(before);
    expect(await enrol([request('f-1')])).toMatchObject([{ created: true }]);
  });
});

describe('analytics.members', () => {
  it('shows the analyst who is a member, with a comment on every column', async () => {
    const [enrolled] = await enrol([
      request('g-1', { source: 'web', enrolledAt: Temporal.Instant.from('2020-02-29T12:00:00Z') }),
    ]);
    const analyst = new pg.Client({ connectionString: club.databaseUrl });
    await analyst.connect();
    try {
      await analyst.query('set role analyst');
      const { rows } = await analyst.query(`select * from analytics.members where external_id = 'g-1'`);
      expect(rows).toEqual([
        {
          member_id: enrolled?.member.memberId,
          external_id: 'g-1',
          enrolled_at: new Date('2020-02-29T12:00:00Z'),
          enrolment_source: 'web',
          status: 'active',
        },
      ]);
      const bare = await analyst.query(
        `select attname from pg_attribute where attrelid = 'analytics.members'::regclass and attnum > 0
         and col_description(attrelid, attnum) is null`,
      );
      expect(bare.rows).toEqual([]);
      await expect(analyst.query('select * from members.members')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await analyst.end();
    }
  });
});
