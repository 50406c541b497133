import { randomBytes } from 'node:crypto';
import type {
  Clock,
  EmbeddedIssuer,
  Environment,
  Installation,
  MintRequest,
  RunningService,
  ServiceContext,
  ServiceDefinition,
} from '@vafa/service';

export type TestServiceOptions = {
  /** An empty database, e.g. that of `withTestDatabase()`, or one that an earlier test service has migrated. */
  readonly url: string;
  /** Where events and messages are kept: in memory by default, which is faster, or in the same database; messages on the brokers of `env`, if it names any. */
  readonly adapters?: 'memory' | 'postgres';
  /** Settings that differ from their defaults. */
  readonly env?: Environment;
  /** A clock that stands still, say; by default the one in the database. */
  readonly clock?: Clock;
  /** Of another test service with which this one shares bus, store and tokens: two services of one installation. */
  readonly beside?: TestService<unknown>;
};

export type TestAnswer<Body> = { readonly status: number; readonly headers: Headers; readonly body: Body };

export type TestRequest = {
  /** A role, what a token is minted from, a token as it is, or null for none; `service` by default. */
  readonly as?: MintRequest['role'] | MintRequest | { readonly token: string } | null;
  /** Sent as JSON, unless it is text or bytes already. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A whole service as it runs, on a real database and a port of its own. */
export type TestService<Config> = {
  readonly service: RunningService;
  readonly context: ServiceContext<Config>;
  readonly url: string;
  /** A bearer token that the service believes. */
  token(request: MintRequest): Promise<string>;
  /** Asks over HTTP. JSON answers are parsed, others come as text. */
  call<Body = unknown>(method: string, path: string, request?: TestRequest): Promise<TestAnswer<Body>>;
  /** Stops the service, and what it does not share with another. */
  close(): Promise<void>;
  /** For a service beside this one. */
  readonly shared: Shared;
};

type Library = typeof import('@vafa/service');
type Shared = { readonly issuer: EmbeddedIssuer; readonly installation: Installation };

// Nest is loaded by those who start a service, not by every suite that uses a helper of this library.
const library = (): Promise<Library> => import('@vafa/service');

/** Migrates the database and runs a service on it. Close it before the database is dropped. */
export const startTestService = async <Config>(
  definition: ServiceDefinition<Config>,
  options: TestServiceOptions,
): Promise<TestService<Config>> => {
  const { migrateInstallation, silentLogger, startService } = await library();
  const logger = silentLogger();
  const config = definition.config(options.env ?? {});
  await migrateInstallation(options.url, [definition], logger);
  const shared = options.beside?.shared ?? (await open(options));
  const context = await shared.installation.contextFor(definition, config, logger);
  const service = await startService(definition, context);
  const { url } = await service.listen(0, '127.0.0.1');
  return {
    service,
    context,
    url,
    shared,
    token: (request) => shared.issuer.mint(request),
    call: (method, path, request) => call(url, shared.issuer, method, path, request),
    close: async () => {
      await service.close();
      if (options.beside === undefined) await shared.installation.close();
    },
  };
};

const open = async (options: TestServiceOptions): Promise<Shared> => {
  const { EmbeddedIssuer: Issuer, Installation: Opened, TokenVerifier, httpConfig, ...service } = await library();
  const { chooseKafka, kafkaConfig, silentLogger } = service;
  const kafka = chooseKafka(kafkaConfig(options.env ?? {}));
  const issuer = await Issuer.ephemeral();
  const installation = await Opened.open({
    url: options.url,
    poolSize: 5,
    production: false,
    deadLetterKey: randomBytes(32),
    http: httpConfig(options.env ?? {}),
    verifier: TokenVerifier.of(issuer),
    logger: silentLogger(),
    adapters: options.adapters ?? (kafka === undefined ? 'memory' : 'postgres'),
    kafka,
    processMetrics: false,
    ...(options.clock && { clock: options.clock }),
  });
  return { issuer, installation };
};

const call = async <Body>(
  url: string,
  issuer: EmbeddedIssuer,
  method: string,
  path: string,
  { as = 'service', body, headers = {} }: TestRequest = {},
): Promise<TestAnswer<Body>> => {
  const token = await tokenOf(issuer, as);
  const asIs = typeof body === 'string' || body instanceof Uint8Array;
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: asIs ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '');
  return { status: answer.status, headers: answer.headers, body: (isJson ? JSON.parse(text) : text) as Body };
};

const tokenOf = async (issuer: EmbeddedIssuer, as: NonNullable<TestRequest['as']> | null): Promise<string | null> => {
  if (as === null) return null;
  if (typeof as === 'string') return issuer.mint({ role: as });
  return 'token' in as ? as.token : issuer.mint(as);
};
