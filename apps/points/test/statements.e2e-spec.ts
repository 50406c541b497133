import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { runPoints, type RunningPoints } from './running-points.js';

let club: RunningPoints;

beforeAll(async () => {
  club = await runPoints('2026-06-10T12:00:00Z');
});
afterAll(() => club.close());

type Statement = {
  opening: number;
  earned: { points: number; byRule: { rule: string; points: number }[] };
  reversed: number;
  closing: number;
  closed: boolean;
  movements: {
    transactionId: string;
    amount: number;
    balance: number;
    correctionOf: string | null;
    sentences: string[];
  }[];
  receipt: { transactionId: string; revision: number; sha256: string } | null;
  asOf: string;
  knownAt: string;
};

const statement = (memberId: string, query: string, headers: Record<string, string> = {}) =>
  club.read<Statement>(memberId, `/statement?${query}`, headers);
const close = (period: string) => club.points.call('POST', `/v1/periods/${period}/close`, { as: 'finance' });

describe('a statement', () => {
  it('leads from the opening to the closing balance, and says why', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 10, '2026-04-30T23:59:59Z');
    await club.buy(memberId, 20, '2026-05-01T00:00:00Z');
    await club.buy(memberId, 5, '2026-05-31T23:59:59.999999Z');
    await club.buy(memberId, 7, '2026-06-01T00:00:00Z');
    const { status, body } = await statement(memberId, 'period=2026-05');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      memberId,
      period: '2026-05',
      from: { date: '2026-05-01', gregorian: '2026-05-01' },
      to: { date: '2026-05-31' },
      start: '2026-05-01T00:00:00Z',
      end: '2026-06-01T00:00:00Z',
      zone: 'UTC',
      opening: 10,
      earned: { points: 25, byRule: [{ rule: 'base', points: 25 }] },
      reversed: 0,
      writtenOff: 0,
      debtsPaid: 0,
      closing: 35,
      atEnd: { balance: 35, available: 35, expiring: [{ days: 30, amount: 0 }, { days: 60 }, { days: 90 }] },
      asOf: '2026-05-31T23:59:59.999999Z',
    });
    expect(body.movements.map(({ amount, balance }) => [amount, balance])).toEqual([
      [20, 30],
      [5, 35],
    ]);
    expect(body.movements[0]?.sentences).toEqual(['20 points for €20.00: 1 for each full €1.00, rounded down.']);
    const then = await club.read(memberId, `?asOf=${body.asOf}&knownAt=${body.knownAt}`);
    expect(then.body).toMatchObject({ balance: body.closing });
    expect((await statement(memberId, 'from=2026-05-01&to=2026-05-31')).body).toMatchObject({
      opening: 10,
      closing: 35,
    });
    expect((await statement(memberId, '')).body).toMatchObject({ period: '2026-06', opening: 35, closing: 42 });
  });

  it('bears the hash of its last event as a receipt', async () => {
    const memberId = await club.enrol();
    const { id } = await club.buy(memberId, 10, '2026-05-03T10:00:00Z');
    const { body } = await statement(memberId, 'period=2026-05');
    const [event] = await club.points.context.eventStore.read(`account-${memberId}`, 0, 1);
    const sha256 = createHash('sha256')
      .update([event?.id, event?.type, event?.data, event?.metadata, ''].join('\n'))
      .digest('hex');
    expect(body.receipt).toEqual({ transactionId: id, revision: 0, sha256 });
    expect((await statement(memberId, 'period=2026-04')).body).toMatchObject({
      receipt: null,
      closing: 0,
      movements: [],
    });
  });

  it('comes as CSV in a form that no spreadsheet runs', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 10, '2026-05-03T10:00:00Z', { purchaseId: `=cmd|${memberId},"x"` });
    const answer = await club.read<string>(memberId, '/statement?period=2026-05', { accept: 'text/csv' });
    expect(answer.headers.get('content-type')).toMatch(/^text\/csv; charset=utf-8/);
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="statement-2026-05.csv"');
    const lines = answer.body.split('\r\n');
    expect(lines[0]).toMatch(/^kind,date,gregorian_date,/);
    expect(lines[1]).toMatch(/^opening,2026-05-01,2026-05-01,,,,,0,/);
    expect(lines[2]).toContain(`,"'=cmd|${memberId},""x""",`);
    expect(lines[3]).toMatch(/^closing,.*,10,/);
    expect(lines[4]).toBe('');
  });

  it('comes as PDF in each language, with its fonts in it', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 10, '2026-05-03T10:00:00Z');
    for (const language of ['fa', 'ar', 'en']) {
      const headers = { accept: 'application/pdf', 'accept-language': language };
      const answer = await club.read<string>(memberId, '/statement?period=2026-05', headers);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('application/pdf');
      expect(answer.body.startsWith('%PDF-1.7')).toBe(true);
      expect(answer.body).toContain(`/Lang (${language})`);
      expect(answer.body).toContain('/Marked true');
      expect(answer.body).toContain('/FontFile2');
    }
  });

  it('is refused for what is no range, in no form that there is, and for a range in the future', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 1, '2026-05-03T10:00:00Z');
    const refused: [string, string][] = [
      ['period=2026-13', '/period'],
      ['period=2026-05&from=2026-05-01', '/period'],
      ['period=2026-07', '/period'],
      ['to=2026-05-01', '/from'],
      ['from=2026-05-32', '/from'],
      ['from=2026-05-02&to=2026-05-01', '/to'],
      ['from=1990-01-01', '/to'],
      ['from=2026-06-11', '/from'],
      ['period=2026-05&asOf=2026-04-30T00:00:00Z', '/asOf'],
    ];
    for (const [query, pointer] of refused)
      expect(await statement(memberId, query)).toMatchObject({ status: 400, body: { errors: [{ pointer }] } });
    expect((await statement(memberId, '', { accept: 'image/png' })).status).toBe(406);
    expect((await statement(memberId, '', { accept: 'text/csv;q=0.5, application/json' })).status).toBe(200);
    expect((await statement(uuidv7(), '')).status).toBe(404);
  });
});

describe('the statement of a closed period', () => {
  it('never changes: what comes late stands in the open one, and says so', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 10, '2026-03-05T10:00:00Z');
    expect((await statement(memberId, 'period=2026-03')).body.closed).toBe(false);
    expect((await close('2026-04')).status).toBe(200);
    const before = await statement(memberId, 'period=2026-03');
    expect(before.body).toMatchObject({ closed: true, closing: 10 });
    const csv = await club.read<string>(memberId, '/statement?period=2026-03', { accept: 'text/csv' });
    const late = await club.buy(memberId, 4, '2026-03-20T10:00:00Z');
    await club.buy(memberId, 3, '2026-05-02T10:00:00Z');
    expect((await statement(memberId, 'period=2026-03')).body).toEqual(before.body);
    expect((await club.read<string>(memberId, '/statement?period=2026-03', { accept: 'text/csv' })).body).toBe(
      csv.body,
    );
    expect((await statement(memberId, 'period=2026-04')).body).toMatchObject({
      opening: 10,
      closing: 10,
      movements: [],
    });
    const open = await statement(memberId, 'period=2026-05');
    expect(open.body).toMatchObject({ opening: 10, closing: 17, closed: false });
    expect(open.body.movements).toMatchObject([
      { transactionId: late.id, amount: 4, correctionOf: '2026-03' },
      { amount: 3, correctionOf: null },
    ]);
    // Asked what counted then, the ledger says both: what was known then, and what is known now.
    expect((await club.read(memberId, '?asOf=2026-03-31T00:00:00Z')).body).toMatchObject({ balance: 14 });
  });
});
