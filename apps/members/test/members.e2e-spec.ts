import { describe, expect, it } from '@jest/globals';
import { PERMISSIONS, ROLES, type Role } from '@vafa/service';
import type { TestAnswer, TestRequest } from '@vafa/testing';
import fc from 'fast-check';
import { membersService } from '../src/index.js';
import { NOW, withClub } from './club.js';

const club = withClub();

type Answer = TestAnswer<Record<string, unknown>>;

const call = (method: string, path: string, more: TestRequest = {}): Promise<Answer> =>
  club.running.call(method, path, more);
const enrol = (body: unknown, more: TestRequest = {}): Promise<Answer> =>
  call('POST', '/v1/members', { body, ...more });
const pointers = ({ body }: Answer): unknown[] =>
  (body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);

describe('POST /v1/members', () => {
  it('enrols, and gives the same member again', async () => {
    const first = await enrol({
      externalId: '07592',
      enrolledAt: '1997-01-01T03:30:00+03:30',
      source: 'till',
      card: 'issue',
    });
    expect(first.status).toBe(201);
    expect(first.body).toEqual({
      memberId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      externalId: '07592',
      card: expect.stringMatching(/^97[0-9]{14}$/),
      enrolledAt: '1997-01-01T00:00:00Z',
      status: 'active',
    });
    expect(first.headers.get('location')).toBe(`/v1/members/${String(first.body['memberId'])}`);
    const again = await enrol({ externalId: '07592' });
    expect(again).toMatchObject({ status: 200, body: first.body });
  });

  it('needs a key without an external id, and knows the request again by it', async () => {
    expect(await enrol({})).toMatchObject({ status: 400, body: { type: '/problems/idempotency-key-missing' } });
    const headers = { 'idempotency-key': 'enrol-1' };
    const first = await enrol({ source: 'web' }, { headers });
    expect(first).toMatchObject({ status: 201, body: { externalId: null, card: null, enrolledAt: NOW } });
    expect(await enrol({ source: 'web' }, { headers })).toMatchObject({ status: 200, body: first.body });
    expect(await enrol({ source: 'pos' }, { headers })).toMatchObject({
      status: 409,
      body: { type: '/problems/idempotency-key-reused' },
    });
  });

  it.each<[string, unknown, string[]]>([
    ['an empty external id', { externalId: '' }, ['/externalId']],
    ['an external id with a blank at its end', { externalId: 'a ' }, ['/externalId']],
    ['an external id that is a number', { externalId: 7 }, ['/externalId']],
    ['a date without a time', { externalId: 'a', enrolledAt: '2026-01-01' }, ['/enrolledAt']],
    ['a card to choose', { externalId: 'a', card: '9712345678901234' }, ['/card']],
    ['a source that is too long', { externalId: 'a', source: 'x'.repeat(257) }, ['/source']],
    ['a source with U+0000', { externalId: 'a', source: '\0' }, ['/source']],
    ['an unknown field', { externalId: 'a', phone: '+989121234567' }, ['/phone']],
    ['several at once', { externalId: '', card: 1 }, ['/externalId', '/card']],
  ])('refuses %s', async (_name, body, expected) => {
    const answer = await enrol(body, { headers: { 'idempotency-key': 'wrong' } });
    expect(answer.status).toBe(422);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(pointers(answer)).toEqual(expected);
  });

  it.each<[string, string]>([
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"x"'],
    ['nothing', ''],
    ['no JSON', '{"externalId":'],
    ['__proto__', '{"externalId":"a","__proto__":{"card":"issue"}}'],
    ['deep nesting', `{"externalId":${'['.repeat(5000)}${']'.repeat(5000)}}`],
  ])('answers %s with a problem', async (_name, body) => {
    const answer = await enrol(body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  it('is for those who may', async () => {
    expect((await enrol({ externalId: 'x' }, { as: null })).status).toBe(401);
    expect((await enrol({ externalId: 'x' }, { as: 'analyst' })).status).toBe(403);
    expect((await enrol({ externalId: 'x' }, { as: 'cashier' })).status).toBe(201);
  });
});

describe('POST /v1/members/batch', () => {
  const batch = (members: unknown, more: TestRequest = {}): Promise<Answer> =>
    call('POST', '/v1/members/batch', { body: { members }, ...more });

  it('answers each entry in its order and rejects only what is wrong', async () => {
    await enrol({ externalId: 'batch-known' });
    const answer = await batch([
      { externalId: 'batch-1' },
      { externalId: 'batch-known' },
      { externalId: ' x', color: 1 },
      7,
      { externalId: 'batch-1' },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.body['results']).toEqual([
      { status: 'enrolled', member: expect.objectContaining({ externalId: 'batch-1' }) },
      { status: 'known', member: expect.objectContaining({ externalId: 'batch-known' }) },
      {
        status: 'rejected',
        errors: expect.arrayContaining([
          expect.objectContaining({ pointer: '/externalId' }),
          expect.objectContaining({ pointer: '/color' }),
        ]),
      },
      { status: 'rejected', errors: [{ pointer: '', detail: 'must be an object' }] },
      { status: 'known', member: expect.objectContaining({ externalId: 'batch-1' }) },
    ]);
  });

  it('takes a thousand and no more', async () => {
    const members = Array.from({ length: 1_000 }, (_, index) => ({
      externalId: `thousand-${String(index)}`,
      card: 'issue',
    }));
    const answer = await batch(members);
    const results = answer.body['results'] as { status: string; member: { externalId: string; card: string } }[];
    expect(results.map(({ status }) => status)).toEqual(members.map(() => 'enrolled'));
    expect(results.map(({ member }) => member.externalId)).toEqual(members.map(({ externalId }) => externalId));
    expect(new Set(results.map(({ member }) => member.card)).size).toBe(1_000);
    expect(pointers(await batch([...members, { externalId: 'one-more' }]))).toEqual(['/members']);
    expect(pointers(await batch([]))).toEqual(['/members']);
    expect(pointers(await batch('all'))).toContain('/members');
  });

  it('needs a key where an entry has no external id', async () => {
    expect((await batch([{ externalId: 'keyless' }, {}])).status).toBe(400);
    const headers = { 'idempotency-key': 'batch-1' };
    const [first, second] = [await batch([{}, {}], { headers }), await batch([{}, {}], { headers })];
    const ids = ({ body }: Answer): string[] =>
      (body['results'] as { member: { memberId: string } }[]).map(({ member }) => member.memberId);
    expect(new Set(ids(first)).size).toBe(2);
    expect(ids(second)).toEqual(ids(first));
  });
});

describe('GET /v1/members/{ref}', () => {
  it('finds a member by id, card and external id', async () => {
    const { body } = await enrol({ externalId: 'مشتری/۷', card: 'issue' });
    const id = String(body['memberId']);
    for (const ref of [
      id,
      `member:${id.toUpperCase().replace('MEMBER', 'member')}`,
      `card:${String(body['card'])}`,
      `external:${encodeURIComponent('مشتری/۷')}`,
    ])
      expect(await call('GET', `/v1/members/${ref}`)).toMatchObject({ status: 200, body });
  });

  it('finds a member by the longest external id of the widest script', async () => {
    const externalId = '😀'.repeat(120);
    expect((await enrol({ externalId })).status).toBe(201);
    const answer = await call('GET', `/v1/members/external:${encodeURIComponent(externalId)}`);
    expect(answer).toMatchObject({ status: 200, body: { externalId } });
  });

  it('says what is wrong with a reference, and that there is nobody', async () => {
    expect(await call('GET', '/v1/members/07592-no-kind')).toMatchObject({
      status: 400,
      body: { type: '/problems/invalid-reference' },
    });
    expect((await call('GET', '/v1/members/phone:+989121234567')).status).toBe(400);
    expect(await call('GET', '/v1/members/card:12345678')).toMatchObject({
      status: 404,
      body: { type: '/problems/member-not-found' },
    });
    expect(
      (await call('GET', '/v1/members/external:nobody', { headers: { 'accept-language': 'fa' } })).body['title'],
    ).toBe('چنین عضوی پیدا نشد');
  });

  it('shows a member himself and nobody else, not even whether there is somebody', async () => {
    const mine = String((await enrol({ externalId: 'me' })).body['memberId']);
    await enrol({ externalId: 'you' });
    const as = { role: 'member', memberId: mine } as const;
    expect((await call('GET', '/v1/members/external:me', { as })).status).toBe(200);
    expect((await call('GET', '/v1/members/external:you', { as })).status).toBe(403);
    expect((await call('GET', '/v1/members/external:nobody', { as })).status).toBe(403);
    expect((await enrol({ externalId: 'mine' }, { as })).status).toBe(403);
  });
});

describe('whatever comes', () => {
  const field = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('issue', NOW, '0000-01-01T00:00:00Z'),
    fc.jsonValue(),
  );
  const entry = fc.dictionary(fc.constantFrom('externalId', 'enrolledAt', 'source', 'card', '__proto__', 'x'), field);
  const body = fc.oneof(
    entry,
    fc.record({ members: fc.oneof(fc.array(fc.oneof(entry, fc.jsonValue()), { maxLength: 5 }), fc.jsonValue()) }),
    fc.jsonValue(),
  );
  const headers = fc.record({ 'idempotency-key': fc.string({ minLength: 1 }) }, { requiredKeys: [] });

  it('is answered with what was asked for or with a problem, and the same again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('/v1/members', '/v1/members/batch'),
        body,
        headers,
        async (path, content, more) => {
          const request = { body: JSON.stringify(content), headers: more };
          const [first, again] = [await call('POST', path, request), await call('POST', path, request)];
          expect(first.status).toBeLessThan(500);
          const type = first.headers.get('content-type');
          expect(type).toContain(first.status < 300 ? 'application/json' : 'application/problem+json');
          if (first.status >= 300 || path === '/v1/members') expect(again.body).toEqual(first.body);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('in a path as well', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 150 }).filter((value) => value.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('', 'card:', 'external:', 'member:'), text, async (kind, value) => {
        const answer = await call('GET', `/v1/members/${kind}${encodeURIComponent(value)}`);
        expect(answer.status).toBeLessThan(500);
        expect(answer.status === 200 || answer.headers.get('content-type')?.includes('problem+json')).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is refused to every role that the matrix does not name', async () => {
    const asking = (role: Role) =>
      role === 'member' ? { role, memberId: '01997f00-0000-7000-8000-000000000001' } : role;
    for (const role of ROLES)
      for (const [method, path, permission] of [
        ['POST', '/v1/members', 'members:enrol'],
        ['POST', '/v1/members/batch', 'members:enrol'],
        ['GET', '/v1/members/external:nobody', 'members:read'],
      ] as const) {
        const { status } = await call(method, path, { as: asking(role), ...(method === 'POST' && { body: [] }) });
        const allowed = (PERMISSIONS[permission] as readonly Role[]).includes(role);
        // A member who asks for somebody else is stopped at the object.
        if (allowed && role !== 'member') expect([role, path, status]).not.toContain(403);
        else expect([role, path, status]).toContain(403);
      }
  });
});

describe('the service', () => {
  it('describes its routes, each with who may call it', () => {
    expect(Object.keys(club.running.service.openapi.paths).sort()).toEqual(
      expect.arrayContaining(['/v1/members', '/v1/members/batch', '/v1/members/{ref}']),
    );
    for (const { path, access } of club.running.service.routes)
      if (path.startsWith('/v1/members')) expect(access).toMatch(/^members:/);
  });

  it('owns its paths and no others', () => {
    const owns = (path: string): boolean => membersService.paths.some((pattern) => pattern.test(path));
    expect(['/v1/members', '/v1/members/', '/v1/members/batch', '/v1/members/external:a'].map(owns)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['/v1/members/x/points', '/v1/purchases', '/v1/membership', '/health/live'].map(owns)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});
