import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EmbeddedIssuer } from '@vafa/service';
import { IDENTITY_PROVIDER_AUDIENCE, IdentityProvider, eventually, withTestDatabase } from '@vafa/testing';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { uuidv7 } from 'uuidv7';
import { loadServices, mergeOpenApi } from '../src/index.js';
import { Program, ROOT, startProcess } from './service-process.js';

const PATIENCE_MS = 60_000;
const LONG_MS = 5 * 60_000;
const NAMES = ['points', 'members'];
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

type Document = Parameters<typeof mergeOpenApi>[0][number]['openapi'];
type Operation = { readonly method: string; readonly path: string; readonly target: string; readonly owner: string };

const documents = NAMES.map((name) => {
  const text = readFileSync(join(ROOT, 'apps', name, 'openapi.json'), 'utf8');
  return { name, openapi: JSON.parse(text) as Document };
});

/** Every operation of the one API, with a path as it is asked for, and the service that describes it. */
const operations: Operation[] = Object.entries(mergeOpenApi(documents, '0').paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method] !== undefined).map((method) => ({
    method: method.toUpperCase(),
    path,
    target: path.replace('{ref}', 'external:one').replaceAll(/\{\w+\}/g, uuidv7()),
    owner: documents.find(({ openapi }) => path in openapi.paths)?.name ?? '',
  })),
);

const own = operations.filter(({ path }) => path.startsWith('/v1/'));

/**
 * The patterns by which the reverse proxy finds the service of a request, in the order in which it tries them. What is used there of RE2 means
 * the same in JavaScript.
 */
const patterns = [
  ...readFileSync(join(ROOT, 'deploy/proxy/Caddyfile'), 'utf8').matchAll(/@(\w+) path_regexp (\S+)$/gm),
].map(([, service = '', source = '']) => ({ service, pattern: new RegExp(source) }));

/** What comes with an answer of the proxy itself, here over plain HTTP. */
const ownHeaders = (headers: Headers) => ({
  type: headers.get('content-type'),
  cache: headers.get('cache-control'),
  sniffing: headers.get('x-content-type-options'),
  transport: headers.get('strict-transport-security'),
});
const OWN_HEADERS = { type: 'application/problem+json', cache: 'no-store', sniffing: 'nosniff', transport: null };

const caddy = (() => {
  try {
    execFileSync('caddy', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('\nThe reverse proxy itself was not run: there is no caddy here. Its patterns are tried.\n');
    return false;
  }
})();

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

describe('the paths behind the reverse proxy', () => {
  const services = loadServices({});

  it('are those of the services, and there is something to compare', () => {
    expect(patterns.map(({ service }) => service)).toEqual(services.map(({ name }) => name));
    expect(own.length).toBeGreaterThan(20);
  });

  it.each(own)('$method $path goes to the service that has it, as in one process', ({ target, owner }) => {
    expect(patterns.find(({ pattern }) => pattern.test(target))?.service).toBe(owner);
    expect(services.find(({ paths }) => paths.some((one) => one.test(target)))?.name).toBe(owner);
  });

  it.each([
    '/v1',
    '/v1/membersx',
    '/v1/purchases.json',
    '/v1/programme',
    '/V1/members',
    '/',
    '/metrics',
    '/health/ready',
  ])('%s goes to none of them', (path) => expect(patterns.filter(({ pattern }) => pattern.test(path))).toEqual([]));
});

describe('services as processes of their own', () => {
  const database = withTestDatabase();
  const running = new Map<string, Program>();
  const started: Program[] = [];
  let provider: IdentityProvider;
  let folder: string;
  let proxy: string | undefined;
  let admin: string;

  const settings = (more: Record<string, string> = {}): Record<string, string> => ({
    VAFA_DATABASE_URL: database.url,
    VAFA_DATA: join(folder, 'data'),
    VAFA_OIDC_ISSUER: provider.issuer,
    VAFA_OIDC_AUDIENCE: IDENTITY_PROVIDER_AUDIENCE,
    // Every route is asked for without a token.
    VAFA_RATE_FAILURES: '0',
    ...more,
  });

  /** Starts a service, or starts it again, and waits until it serves requests. */
  const start = async (name: string, more: Record<string, string> = {}): Promise<Program> => {
    const program = startProcess(name, settings(more));
    started.push(program);
    await eventually(() => {
      if (!program.isRunning) throw new Error(program.output);
      expect(program.url).toBeDefined();
    }, PATIENCE_MS);
    running.set(name, program);
    return program;
  };

  const url = (name: string): string => running.get(name)?.url ?? '';

  /** Where a client of the installation asks: the proxy, or the service that its patterns choose. */
  const door = (path: string): string =>
    proxy ?? url(patterns.find(({ pattern }) => pattern.test(path))?.service ?? '');

  const call = async (path: string, token: string | null, init: RequestInit = {}, base = door(path)) => {
    const answer = await fetch(`${base}${path}`, {
      ...init,
      headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...(init.headers as object) },
    });
    const text = await answer.text();
    const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, headers: answer.headers, body: (isJson ? JSON.parse(text) : text) as unknown };
  };

  const post = (path: string, token: string, body: unknown, headers: Record<string, string> = {}) =>
    call(path, token, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'idempotency-key': uuidv7(), ...headers },
    });

  const startProxy = async (): Promise<string> => {
    const port = await freePort();
    const site = join(folder, 'site');
    execFileSync(process.execPath, ['tools/site.mjs', site], { cwd: ROOT, stdio: 'ignore' });
    const upstreams = NAMES.flatMap((name) => [
      [`VAFA_PROXY_${name.toUpperCase()}_HOST`, 'localhost'],
      [`VAFA_PROXY_${name.toUpperCase()}_PORT`, new URL(url(name)).port],
    ]);
    const words = ['run', '--adapter', 'caddyfile', '--config', 'deploy/proxy/Caddyfile'];
    const base = `http://127.0.0.1:${port}`;
    const env = {
      VAFA_SITE: base,
      VAFA_PROXY_SITE_FOLDER: site,
      XDG_DATA_HOME: join(folder, 'caddy'),
      XDG_CONFIG_HOME: join(folder, 'caddy'),
      ...(Object.fromEntries(upstreams) as Record<string, string>),
    };
    const program = new Program('caddy', words, env);
    started.push(program);
    await eventually(async () => {
      if (!program.isRunning) throw new Error(program.output);
      expect((await fetch(`${base}/health/live`)).status).toBe(200);
    }, PATIENCE_MS);
    return base;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vafa-processes-'));
    provider = await IdentityProvider.start();
    // Builds what is stale, and one at a time: others may be running what is built already.
    execFileSync(process.execPath, ['tools/vafa.mjs', '--help'], { cwd: ROOT, stdio: 'ignore' });
    const migrate = new Program(process.execPath, ['apps/cli/dist/main.js', 'migrate'], settings());
    started.push(migrate);
    expect([await migrate.ended(), migrate.output]).toEqual([0, expect.stringContaining('Up to date')]);
    await Promise.all(NAMES.map((name) => start(name)));
    if (caddy) proxy = await startProxy();
    const issuer = await EmbeddedIssuer.open({ folder: join(folder, 'data', 'keys'), production: false });
    admin = await issuer.mint({ role: 'admin' });
  }, LONG_MS);

  const loose: pg.Client[] = [];
  afterEach(async () => {
    await Promise.all(loose.splice(0).map((client) => client.end()));
  });

  afterAll(async () => {
    for (const program of started) program.signal('SIGTERM');
    await Promise.all(started.map((program) => program.ended()));
    await provider.goAway();
    await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }, LONG_MS);

  it.each(own)(
    '$method $path is answered by its service, by no other, and through the door',
    async ({ method, target, owner }) => {
      for (const name of NAMES) {
        // Without a token: what a service has is refused, what it does not have is not there.
        const { status, body } = await call(target, null, { method }, url(name));
        expect({ name, status, body }).toMatchObject({ name, status: name === owner ? 401 : 404, body: { status } });
      }
      expect(await call(target, null, { method })).toMatchObject({ status: 401, body: { status: 401 } });
    },
  );

  it('make one club: who enrols with one is known to the other, whoever signed the token', async () => {
    const externalId = uuidv7();
    const staff = await provider.token({ role: 'admin' });
    const service = await provider.token({ role: 'service' });
    const enrolled = await post('/v1/members', staff, { externalId });
    expect(enrolled.status).toBe(201);
    const { memberId } = enrolled.body as { memberId: string };
    const path = `/v1/members/external:${externalId}/points`;
    await eventually(async () => expect((await call(path, admin)).status).toBe(200), PATIENCE_MS);
    const data = {
      purchaseId: uuidv7(),
      member: `external:${externalId}`,
      occurredAt: '2026-01-01T10:00:00Z',
      currency: 'EUR',
      lines: [{ lineId: '1', amount: 4_200 }],
      total: 4_200,
    };
    const event = { specversion: '1.0', id: uuidv7(), source: '/till', type: 'commerce.purchase.completed', data };
    const headers = { 'content-type': 'application/cloudevents+json', prefer: 'wait=20' };
    expect(await post('/v1/purchases', service, event, headers)).toMatchObject({
      status: 200,
      body: { status: 'taken', points: 42, memberId },
    });
    for (const token of [admin, staff])
      await eventually(
        async () => expect(await call(path, token)).toMatchObject({ status: 200, body: { balance: 42 } }),
        PATIENCE_MS,
      );
    const other = await provider.token({ role: 'admin', aud: 'https://elsewhere.example' });
    for (const one of [path, `/v1/members/external:${externalId}`])
      expect(await call(one, other)).toMatchObject({ status: 401 });
  });

  it.each([
    ['members', { VAFA_DATABASE_URL: '' }, 'VAFA_DATABASE_URL is not set'],
    ['points', { VAFA_DATABASE_URL: '' }, 'VAFA_DATABASE_URL is not set'],
    ['members', { VAFA_CARD_PREFIX: 'x' }, 'VAFA_CARD_PREFIX must be'],
    ['points', { VAFA_ZONE: 'nowhere' }, 'VAFA_ZONE must be'],
    ['points', { VAFA_ZONES: 'UTC' }, 'VAFA_ZONES is not a setting: VAFA_ZONE was probably meant'],
    ['members', { VAFA_OIDC_AUDIENCE: '' }, 'VAFA_OIDC_AUDIENCE is not set'],
  ])('%s does not start with %j', async (name, more, sentence) => {
    const program = startProcess(name, settings(more));
    started.push(program);
    expect([await program.ended(), program.output]).toEqual([2, expect.stringContaining(sentence)]);
  });

  it('notes a setting of another service, and starts', async () => {
    const before = running.get('members');
    // What is wrong with it is the other's to say.
    const { output } = await start('members', { VAFA_ZONE: 'nowhere' });
    expect(output).toMatch(/"level":(40|"warn").*"setting":"VAFA_ZONE"/);
    running.get('members')?.signal('SIGTERM');
    if (before !== undefined) running.set('members', before);
  });

  it.each([
    ['members', 'members.members', '/v1/members/external:somebody', 404],
    ['points', 'points.period_closings', '/v1/periods', 200],
  ])('%s finishes what is under way when it is told to stop, then takes no more', async (name, table, path, status) => {
    const client = new pg.Client({ connectionString: database.url });
    loose.push(client);
    await client.connect();
    await client.query(`begin; lock table ${table} in access exclusive mode`);
    const program = running.get(name);
    const answer = call(path, admin, {}, url(name));
    await eventually(async () => {
      const { rows } = await client.query(
        `select 1 from pg_locks where relation = '${table}'::regclass and not granted`,
      );
      expect(rows).not.toEqual([]);
    }, PATIENCE_MS);
    program?.signal('SIGTERM');
    await eventually(() => expect(call('/health/live', null, {}, url(name))).rejects.toThrow(), PATIENCE_MS);
    await client.query('commit');
    expect((await answer).status).toBe(status);
    expect(await program?.ended()).toBe(0);
    if (proxy !== undefined) {
      const away = await call(path, admin);
      expect(away).toMatchObject({ body: { status: away.status } });
      expect([502, 503]).toContain(away.status);
      expect(ownHeaders(away.headers)).toEqual(OWN_HEADERS);
      expect(away.headers.get('retry-after')).not.toBeNull();
    }
    // Under the address that the proxy knows.
    await start(name, { VAFA_PORT: new URL(program?.url ?? '').port });
    await eventually(async () => expect((await call(path, admin)).status).toBe(status), PATIENCE_MS);
  });

  (caddy ? it : it.skip)('have the documentation of all of them in front, and nothing of the inside', async () => {
    const { body } = await call('/openapi.json', null);
    expect(Object.keys((body as Document).paths)).toEqual(expect.arrayContaining(own.map(({ path }) => path)));
    const page = await call('/docs', null);
    expect([page.status, page.headers.get('content-security-policy')]).toEqual([
      200,
      expect.stringContaining("'none'"),
    ]);
    for (const path of ['/metrics', '/health/ready', '/v1/nothing', '/v1/membersx']) {
      const answer = await call(path, admin);
      expect(answer).toMatchObject({ status: 404, body: { status: 404 } });
      expect(ownHeaders(answer.headers)).toEqual(OWN_HEADERS);
    }
    expect(ownHeaders((await call('/health/live', null)).headers)).toEqual({
      ...OWN_HEADERS,
      type: 'application/json',
    });
  });
});
