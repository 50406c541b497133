import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  PROBLEM_TYPE,
  PROBLEMS,
  ProblemException,
  preferredLanguage,
  problemBody,
  type ProblemKind,
  type RunningService,
} from '@vafa/service';
import { documentationPage, type Page } from './documentation.js';
import { homePage } from './home-page.js';
import { mergeMetrics } from './merge-metrics.js';
import { mergeOpenApi } from './merge-openapi.js';

/** A running service with what the front needs to know of it. */
export type FrontedService = {
  readonly running: RunningService;
  readonly paths: readonly RegExp[];
  readonly description: string;
};

const JSON_TYPE = 'application/json; charset=utf-8';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** The documentation loads nothing from elsewhere. Swagger UI draws with inline styles and data images. */
const CONTENT_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The one HTTP door of the process: gives each request to the service that owns its path, and answers for all of them together. */
export class Front {
  private services: readonly FrontedService[] | undefined;
  private document: string | undefined;

  constructor(
    private readonly version: string,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** From now on requests are served; until then the answer is 503 with a hint to try again. */
  open(services: readonly FrontedService[]): void {
    this.services = services;
  }

  /** Answers a request. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    const services = this.services;
    if (services === undefined) return this.beforeOpen(path, request, response);
    // The documentation and the home page are ours; everything else that a service claims is the service's.
    const owner = services.find(({ paths }) => paths.some((pattern) => pattern.test(path)));
    if (owner !== undefined && !isOwn(path)) return owner.running.handle(request, response);
    this.own(path, services, request, response).catch((error: unknown) => {
      this.onError(error);
      if (response.headersSent) response.destroy();
      else refuse(request, response, PROBLEMS['internal-error']);
    });
  }

  private beforeOpen(path: string, request: IncomingMessage, response: ServerResponse): void {
    if (path === '/health/live') return send(request, response, 200, { type: JSON_TYPE, body: '{"live":true}' });
    refuse(request, response, PROBLEMS.unavailable, { 'retry-after': '1' });
  }

  private async own(
    path: string,
    services: readonly FrontedService[],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const answer = await this.page(path, services);
    if (answer === undefined) return refuse(request, response, PROBLEMS['not-found']);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(request, response, PROBLEMS['method-not-allowed'], { allow: 'GET, HEAD' });
    send(request, response, answer.status ?? 200, answer);
  }

  private async page(
    path: string,
    services: readonly FrontedService[],
  ): Promise<(Page & { status?: number }) | undefined> {
    if (path === '/')
      return homePage(
        services.map(({ running, description }) => ({ name: running.name, description })),
        this.version,
      );
    if (path === '/openapi.json') return { type: JSON_TYPE, body: this.openApi(services) };
    if (path === '/docs' || path.startsWith('/docs/')) return documentationPage(path);
    if (path === '/health/live') return { type: JSON_TYPE, body: '{"live":true}' };
    if (path.startsWith('/health/ready')) return this.health(path.slice('/health/ready'.length), services);
    if (path.startsWith('/metrics')) return this.metrics(path.slice('/metrics'.length), services);
    return undefined;
  }

  private openApi(services: readonly FrontedService[]): string {
    const documents = () => services.map(({ running: { name, openapi } }) => ({ name, openapi }));
    return (this.document ??= JSON.stringify(mergeOpenApi(documents(), this.version)));
  }

  private async health(
    rest: string,
    services: readonly FrontedService[],
  ): Promise<(Page & { status: number }) | undefined> {
    const chosen = choose(rest, services);
    if (chosen === undefined) return undefined;
    const reports = await Promise.all(
      chosen.map(async ({ running }) => [running.name, await running.ready()] as const),
    );
    const ready = reports.every(([, report]) => report.ready);
    const body = JSON.stringify({ ready, services: Object.fromEntries(reports) });
    return { status: ready ? 200 : 503, type: JSON_TYPE, body };
  }

  private async metrics(rest: string, services: readonly FrontedService[]): Promise<Page | undefined> {
    const chosen = choose(rest, services);
    if (chosen === undefined) return undefined;
    const texts = await Promise.all(chosen.map(({ running }) => running.metrics.content()));
    return { type: METRICS_TYPE, body: mergeMetrics(texts) };
  }
}

/** All services for an empty rest of the path, one for `/<name>`, undefined where there is none of that name. */
function choose(rest: string, services: readonly FrontedService[]): readonly FrontedService[] | undefined {
  if (rest === '' || rest === '/') return services;
  const chosen = services.filter(({ running }) => rest === `/${running.name}`);
  return chosen.length > 0 ? chosen : undefined;
}

function isOwn(path: string): boolean {
  return path === '/' || /^\/(docs|openapi\.json|health|metrics)(\/|$)/.test(path);
}

/** The path without its query; what cannot be a path matches nothing. */
function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

function send(request: IncomingMessage, response: ServerResponse, status: number, page: Page): void {
  response.writeHead(status, {
    'content-type': page.type,
    'content-length': Buffer.byteLength(page.body),
    'content-security-policy': CONTENT_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  });
  response.end(request.method === 'HEAD' ? undefined : page.body);
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  kind: ProblemKind,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = problemBody(new ProblemException(kind), preferredLanguage(request.headers['accept-language']));
  response.writeHead(kind.status, {
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
