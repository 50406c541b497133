import { describe, expect, it } from '@jest/globals';
import type { Actor, AuditEntry, AuditRecord } from '@vafa/service';
import type { TestAnswer, TestRequest } from '@vafa/testing';
import pg from 'pg';
import { withClub } from './club.js';

const club = withClub();

type Page = { items: AuditEntry[]; next: string | null };

const read = (query = '', more: TestRequest = {}): Promise<TestAnswer<Page>> =>
  club.running.call('GET', `/v1/audit${query}`, { as: 'auditor', ...more });
const enrol = (as: TestRequest['as'], body: unknown, headers: Record<string, string> = {}) =>
  club.running.call<{ memberId: string }>('POST', '/v1/members', { as: as ?? null, body, headers });

const actor: Actor = { subject: 'anna', role: 'support', clientId: 'console', requestId: 'r-1' };
const act = (subject: string, more: Partial<AuditRecord> = {}): Promise<void> => {
  const { audit, database } = club.running.context;
  return database.transaction((work) =>
    audit.record(work, { actor, action: 'inbox.settled', subject, reason: 'sent twice', ...more }),
  );
};

describe('the audit', () => {
  it('has an entry for whom staff enrolled, once, and none for whom a program enrolled', async () => {
    const headers = { 'x-request-id': 'request-77' };
    const { body } = await enrol({ role: 'cashier', clientId: 'till-7' }, { externalId: 'by-cashier' }, headers);
    await enrol('cashier', { externalId: 'by-cashier' });
    await enrol('service', { externalId: 'by-service' });
    const answer = await read('?action=members.enrolled');
    expect(answer).toMatchObject({ status: 200, body: { next: null } });
    expect(answer.body.items).toEqual([
      {
        id: expect.any(Number),
        recordedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        actor: { subject: 'till-7', role: 'cashier', clientId: 'till-7', requestId: 'request-77' },
        service: 'members',
        action: 'members.enrolled',
        subject: `member:${body.memberId}`,
        reason: null,
        details: {},
      },
    ]);
  });

  it('names all of several', async () => {
    const members = ['several-1', 'several-2'].map((externalId) => ({ externalId }));
    await club.running.call('POST', '/v1/members/batch', { as: 'admin', body: { members } });
    const { body } = await read('?subject=members');
    expect(body.items).toMatchObject([
      { actor: { role: 'admin' }, details: { memberIds: [expect.any(String), expect.any(String)] } },
    ]);
  });

  it('is for auditors and admins', async () => {
    expect((await read('', { as: 'admin' })).status).toBe(200);
    expect((await read('', { as: 'support' })).status).toBe(403);
    expect((await read('', { as: null })).status).toBe(401);
  });

  it('is filtered, and read by pages, the latest first', async () => {
    const since = Temporal.Now.instant().subtract({ minutes: 5 }).toString();
    for (const n of [1, 2, 3]) await act(`claim:${n}`, { actor: { ...actor, subject: 'pages' }, details: { n } });
    const subjects = async (query: string): Promise<{ found: string[]; next: string | null }> => {
      const { body } = await read(`?actor=pages&${query}`);
      return { found: body.items.map(({ subject }) => subject), next: body.next };
    };
    const first = await subjects('limit=2');
    expect(first.found).toEqual(['claim:3', 'claim:2']);
    expect(await subjects(`limit=2&after=${String(first.next)}`)).toEqual({ found: ['claim:1'], next: null });
    expect((await subjects('role=support&action=inbox.settled')).found).toHaveLength(3);
    expect((await subjects('subject=claim:2')).found).toEqual(['claim:2']);
    expect((await subjects(`from=${since}`)).found).toHaveLength(3);
    expect((await subjects(`to=${since}`)).found).toEqual([]);
    expect((await subjects('role=admin')).found).toEqual([]);
  });

  it.each([
    'limit=0',
    'limit=501',
    'limit=x',
    'after=x',
    'action=no.such',
    'role=root',
    'from=today',
    'subject=%00',
    'colour=red',
  ])('refuses %s', async (query) => {
    expect(await read(`?${query}`)).toMatchObject({
      status: 400,
      body: { errors: expect.arrayContaining([expect.objectContaining({ in: 'query' })]) },
    });
  });

  it('has no entry for an act that was rolled back', async () => {
    const { audit, database } = club.running.context;
    const failed = database.transaction(async (work) => {
      await audit.record(work, { actor, action: 'inbox.settled', subject: 'claim:undone' });
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect((await read('?subject=claim:undone')).body.items).toEqual([]);
  });

  it('refuses what is too long, and with it the act', async () => {
    await expect(act('')).rejects.toThrow(RangeError);
    await expect(act('x'.repeat(1_025))).rejects.toThrow(RangeError);
    await expect(act('claim:1', { reason: 'x'.repeat(1_001) })).rejects.toThrow(RangeError);
    await expect(act('claim:1', { details: { text: 'x'.repeat(70_000) } })).rejects.toThrow(RangeError);
  });

  it('takes any JSON as details', async () => {
    const details = { text: '\0 \ud800 "', deep: [{ null: null }] };
    await act('claim:odd', { details });
    expect((await read('?subject=claim:odd')).body.items).toMatchObject([{ details }]);
  });

  it('is changed by nobody: neither by the role of the services nor by the owner', async () => {
    const changes = [
      "update audit.entries set reason = 'another'",
      'delete from audit.entries',
      'truncate audit.entries',
      'drop trigger entries_append_only on audit.entries',
    ];
    for (const change of changes) await expect(club.running.context.database.query(change)).rejects.toThrow();
    const owner = new pg.Client({ connectionString: club.databaseUrl });
    await owner.connect();
    try {
      for (const change of changes.slice(0, 3)) await expect(owner.query(change)).rejects.toThrow('append-only');
    } finally {
      await owner.end();
    }
  });
});
