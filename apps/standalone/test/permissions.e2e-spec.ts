import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AUDIT_ACTIONS,
  EmbeddedIssuer,
  PERMISSIONS,
  ROLES,
  type MintRequest,
  type PermissionName,
  type Role,
} from '@vafa/service';
import { eventually, withTestDatabase } from '@vafa/testing';
import { loadServices } from '../src/services.js';
import { readStandaloneConfig } from '../src/standalone-config.js';
import { startStandalone, type Standalone } from '../src/standalone.js';

// Every route of every service, as they say of themselves, against the one matrix: a new route is tried without a line here.

/**
 * Each route by which staff may change something, with what its acts are in the audit; or why it leaves no entry there.
 * A new one has to be decided on here.
 */
const ACTS: Readonly<Record<string, string>> = {
  'POST /v1/members': 'members.enrolled',
  'POST /v1/members/batch': 'members.enrolled',
  'POST /v1/periods/:period/close': 'periods.closed',
  'POST /v1/purchases': 'inputs.submitted',
  'POST /v1/purchases/batch': 'inputs.submitted',
  'POST /v1/dead-letters/discard': 'dead-letters.discarded',
  'POST /v1/dead-letters/:id/discard': 'dead-letters.discarded',
  'POST /v1/dead-letters/replay': 'dead-letters.replayed',
  'POST /v1/dead-letters/:id/replay': 'dead-letters.replayed',
  'POST /v1/purchases/preview': 'none: it writes nothing',
  'POST /v1/members/:ref/purchases/claims': 'inbox.settled',
  'POST /v1/inbox/:id/keep': 'inbox.settled',
  'POST /v1/inbox/:id/replace': 'inbox.settled',
  'POST /v1/inbox/:id/attach': 'inbox.settled',
  'POST /v1/inbox/:id/approve': 'inbox.settled',
  'POST /v1/inbox/:id/discard': 'inbox.settled',
  'POST /v1/returns': 'inputs.submitted',
  'POST /v1/returns/batch': 'inputs.submitted',
  'POST /v1/activities': 'inputs.submitted',
  'POST /v1/activities/batch': 'inputs.submitted',
  'POST /v1/read-models/points/rebuild': 'read-models.rebuilt',
};

type Route = {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly access: PermissionName | 'public';
};
type Answer = { readonly status: number; readonly type: string; readonly body: string };

const OPERATIONS = /^\/(health\/|metrics$)/;
const NOBODY = randomUUID();

let folder: string;
let standalone: Standalone | undefined;
let issuer: EmbeddedIssuer;
const routes: Route[] = [];
let own = '';
let other = '';

// Before the database, which goes last.
afterAll(async () => {
  await standalone?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

const database = withTestDatabase();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vafa-permissions-'));
  await chmod(folder, 0o755);
  const env = {
    VAFA_PORT: '0',
    VAFA_DATA: folder,
    VAFA_DATABASE_URL: database.url,
    VAFA_LOG_LEVEL: 'error',
    // More is refused here than anybody is refused in a minute.
    VAFA_RATE_FAILURES: '0',
  };
  const config = readStandaloneConfig(env, folder);
  standalone = await startStandalone({ config, services: loadServices(env), version: '0.0.0', say: () => undefined });
  issuer = await EmbeddedIssuer.open({ folder: join(folder, 'keys'), production: false });
  for (const service of standalone.services)
    for (const { method, path, access } of service.routes)
      routes.push({ service: service.name, method, path, access: access as Route['access'] });
  [own, other] = [await enrol('own'), await enrol('other')];
});

const enrol = async (externalId: string): Promise<string> => {
  const { body } = await call('POST', '/v1/members', await issuer.mint({ role: 'service' }), { externalId });
  return (JSON.parse(body) as { memberId: string }).memberId;
};

const call = async (method: string, path: string, token?: string, body?: unknown): Promise<Answer> => {
  const withBody = ['POST', 'PUT', 'PATCH'].includes(method);
  const answer = await fetch(`${standalone?.run.api ?? ''}${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(withBody && { 'content-type': 'application/json' }),
    },
    // What no route takes: whoever gets so far has passed the door, and nothing comes of it.
    ...(withBody && { body: JSON.stringify(body ?? { nothing: 'of the kind' }) }),
  });
  return { status: answer.status, type: answer.headers.get('content-type') ?? '', body: await answer.text() };
};

/** The routes behind the door; those for operations are asked by those who run the service, and need no token. */
const guarded = (): Route[] => routes.filter(({ access, path }) => !(access === 'public' && OPERATIONS.test(path)));
const label = ({ method, path }: Route): string => `${method} ${path}`;

/** A path with its places filled in: a member's where it is about a member, ids of nothing elsewhere. */
const filled = ({ path }: Route, member: string): string =>
  path.replace(/:([A-Za-z_]\w*)/g, (_place, name) => (name === 'ref' ? member : randomUUID()));

const ask = async (route: Route, mint: MintRequest, member = own, body?: unknown): Promise<Answer> =>
  call(route.method, filled(route, member), await issuer.mint(mint), body);

type Schema = Readonly<Record<string, unknown>>;

/** The least body that a route takes, by its description: so that nothing is wrong with a request but whom it is about. */
const bodyFor = ({ service, method, path }: Route): unknown => {
  const openapi = standalone?.services.find(({ name }) => name === service)?.openapi;
  const item = openapi?.paths[path.replace(/:(\w+)/g, '{$1}')] as Record<string, { requestBody?: unknown }> | undefined;
  const { content } = (item?.[method.toLowerCase()]?.requestBody ?? {}) as {
    content?: Record<string, { schema: Schema }>;
  };
  return content === undefined ? undefined : sampleOf(content['application/json']?.schema ?? {}, openapi?.components);
};

const sampleOf = (schema: Schema, components: unknown): unknown => {
  const { $ref: reference, example, type, items, required = [], properties = {}, minimum } = schema;
  if (typeof reference === 'string') {
    const { schemas } = components as { schemas: Record<string, Schema> };
    return sampleOf(schemas[reference.split('/').at(-1) ?? ''] ?? {}, components);
  }
  if (example !== undefined) return example;
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  if (type === 'array') return [sampleOf(items as Schema, components)];
  if (type === 'integer' || type === 'number') return minimum ?? 1;
  if (type === 'boolean') return true;
  if (type !== 'object') return schema['format'] === 'date-time' ? '2026-01-01T00:00:00Z' : 'x';
  const fields = properties as Record<string, Schema>;
  return Object.fromEntries((required as string[]).map((name) => [name, sampleOf(fields[name] ?? {}, components)]));
};

/** Where each kind of input is read, and what its id is called. Purchases come first, since returns are of them. */
const INPUTS = {
  purchase: { path: '/v1/purchases', id: 'purchaseId', type: 'commerce.purchase.completed' },
  return: { path: '/v1/returns', id: 'returnId', type: 'commerce.purchase.returned' },
  activity: { path: '/v1/activities', id: 'activityId', type: 'commerce.activity.performed' },
} as const;
type InputKind = keyof typeof INPUTS;

/** One input of each kind; returns are of the purchase of the same name. */
const inputOf = (kind: InputKind, name: string, member: string | null): unknown => {
  const { id, type } = INPUTS[kind];
  const content = {
    purchase: { currency: 'EUR', lines: [{ lineId: '1', amount: 500 }], total: 500 },
    return: { purchaseId: `purchase-${name}`, whole: true },
    activity: { activity: 'review.written' },
  } as const;
  return {
    specversion: '1.0',
    id: `message of ${kind} ${name}`,
    source: '/till',
    type,
    data: { [id]: `${kind}-${name}`, member, occurredAt: '2026-01-05T10:00:00Z', ...content[kind] },
  };
};

const mintOf = (role: Role, memberId = own): MintRequest => (role === 'member' ? { role, memberId } : { role });

/** Let in: what is wrong with the request is said, or what came of it. */
const expectLetIn = ({ status, body }: Answer, who: string): void => {
  if (status === 401 || status === 403 || status >= 500) throw new Error(`${who} gets ${status}: ${body}`);
};

/** Let in by the door: what is not the member's own may be refused behind it. */
const expectPastTheDoor = ({ status, body }: Answer, who: string): void => {
  if (status === 401 || status >= 500 || body.includes('needs the permission'))
    throw new Error(`${who} gets ${status}: ${body}`);
};

const expectProblem = (answer: Answer, status: number, who: string): void => {
  if (answer.status !== status) throw new Error(`${who} gets ${answer.status} and not ${status}: ${answer.body}`);
  expect(answer.type).toBe('application/problem+json');
};

describe('every route of every service', () => {
  it('says who may call it, in words of the matrix', () => {
    expect(guarded().length).toBeGreaterThan(10);
    for (const route of guarded()) expect(Object.keys(PERMISSIONS)).toContain(route.access);
  });

  it('is the same in the API’s description, with its permission and roles', () => {
    for (const service of standalone?.services ?? []) {
      const described = Object.entries(service.openapi.paths).flatMap(([path, item]) =>
        Object.entries(item).map(([method, operation]) => {
          const { 'x-permission': permission, 'x-roles': roles } = operation as Record<string, unknown>;
          return { label: `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`, permission, roles };
        }),
      );
      const served = guarded().filter((route) => route.service === service.name && route.method !== 'HEAD');
      expect(described.map((one) => one.label).toSorted()).toEqual(served.map(label).toSorted());
      for (const route of served) {
        const found = described.find((one) => one.label === label(route));
        expect(found).toMatchObject({ permission: route.access, roles: PERMISSIONS[route.access as PermissionName] });
      }
    }
  });

  it('is closed to those without a token, or with one that is not valid', async () => {
    const token = await issuer.mint({ role: 'admin' });
    const broken = `${token.slice(0, -6)}AAAAAA`;
    for (const route of guarded())
      for (const given of [undefined, broken, 'x']) {
        const answer = await call(route.method, filled(route, own), given);
        // An answer to HEAD has no body, and no type of one.
        if (route.method === 'HEAD') expect(answer.status).toBe(401);
        else expectProblem(answer, 401, `${label(route)} with ${given ?? 'no token'}`);
      }
  });

  it.each(ROLES)('lets in %s where the matrix does, and nowhere else', async (role) => {
    for (const route of guarded()) {
      const answer = await ask(route, mintOf(role));
      const allowed: readonly Role[] = PERMISSIONS[route.access as PermissionName];
      const who = `${role} at ${label(route)}`;
      if (route.method === 'HEAD') expect([who, answer.status === 403]).toEqual([who, !allowed.includes(role)]);
      else if (!allowed.includes(role)) expectProblem(answer, 403, who);
      else if (role === 'member' && !route.path.includes(':ref')) expectPastTheDoor(answer, who);
      else expectLetIn(answer, who);
    }
  });

  it('shows a member that member’s own data, and answers alike for another and for nobody', async () => {
    const open = guarded().filter(
      ({ access, path, method }) =>
        path.includes(':ref') &&
        method !== 'HEAD' &&
        (PERMISSIONS[access as PermissionName] as readonly Role[]).includes('member'),
    );
    expect(open.length).toBeGreaterThan(3);
    for (const route of open) {
      expectLetIn(await ask(route, mintOf('member')), `a member at their own ${label(route)}`);
      for (const reference of [other, `external:other`, NOBODY, 'external:nobody'])
        expectProblem(
          await ask(route, mintOf('member'), reference, bodyFor(route)),
          403,
          `a member at ${reference}’s ${label(route)}`,
        );
      expectProblem(
        await ask(route, mintOf('member', other), own, bodyFor(route)),
        403,
        `another member at ${label(route)}`,
      );
    }
  });

  it.each(Object.keys(INPUTS) as InputKind[])('shows a member that member’s own %s only', async (kind) => {
    const { path, id } = INPUTS[kind];
    const service = await issuer.mint({ role: 'service' });
    const member = await issuer.mint(mintOf('member'));
    const found = async (name: string, token: string): Promise<Answer> =>
      call('GET', `${path}?source=${encodeURIComponent('/till')}&${id}=${name}`, token);
    const theirs = { own: 'external:own', other: 'external:other', stranger: 'external:nobody', anonymous: null };
    for (const [name, reference] of Object.entries(theirs)) {
      // What nobody did is not taken in.
      if (kind === 'activity' && reference === null) continue;
      const answer = await call('POST', path, service, inputOf(kind, name, reference));
      expect({ name, answer }).toMatchObject({ answer: { status: 202 } });
      const status = name === 'anonymous' ? 'anonymous' : name === 'stranger' ? 'waiting' : 'taken';
      await eventually(async () => {
        const { body } = await found(`${kind}-${name}`, service);
        expect(JSON.parse(body)).toMatchObject({ [id]: `${kind}-${name}`, status });
      });
    }
    expect(await found(`${kind}-own`, member)).toMatchObject({ status: 200 });
    const refusals: unknown[] = [];
    for (const name of ['other', 'stranger', 'anonymous', 'missing']) {
      const answer = await found(`${kind}-${name}`, member);
      expectProblem(answer, 403, `a member at ${name}’s ${kind}`);
      const { instance: _instance, ...said } = JSON.parse(answer.body) as Schema;
      refusals.push(said);
    }
    // Nor is anything to be learned from how it is said.
    expect(new Set(refusals.map((said) => JSON.stringify(said))).size).toBe(1);
    expectProblem(await found(`${kind}-own`, await issuer.mint(mintOf('member', other))), 403, 'another member');
  });

  it('by which staff change something leaves an entry in the audit, or it is known why not', () => {
    const changing = guarded().filter(
      ({ method, access }) =>
        !['GET', 'HEAD'].includes(method) &&
        PERMISSIONS[access as PermissionName].some((role) => role !== 'service' && role !== 'member'),
    );
    expect(changing.map(label).toSorted()).toEqual(Object.keys(ACTS).toSorted());
    const known = [...Object.keys(AUDIT_ACTIONS), 'none'];
    for (const act of Object.values(ACTS)) expect(known).toContain(act.split(':')[0]);
  });

  it('leaves an entry of each rebuild that is asked for, with who asked', async () => {
    const [admin, auditor] = [await issuer.mint({ role: 'admin' }), await issuer.mint({ role: 'auditor' })];
    const entries = async (): Promise<unknown[]> => {
      const { body } = await call('GET', '/v1/audit?action=read-models.rebuilt', auditor);
      return (JSON.parse(body) as { items: unknown[] }).items;
    };
    const before = await entries();
    expectLetIn(await call('POST', '/v1/read-models/points/rebuild', admin), 'an admin');
    const [latest, ...earlier] = await entries();
    expect(latest).toMatchObject({ action: 'read-models.rebuilt', subject: 'points', actor: { role: 'admin' } });
    expect(earlier).toEqual(before);
    await eventually(async () => {
      const { body } = await call('GET', '/v1/read-models/points', admin);
      expect(JSON.parse(body)).toMatchObject({ rebuild: { state: 'done' } });
    });
  });
});
