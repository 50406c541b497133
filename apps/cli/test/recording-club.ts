import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

type Data = Readonly<Record<string, unknown>> & {
  readonly purchaseId: string;
  readonly member: string | null;
  readonly total: number;
};
type Event = { readonly source: string; readonly data: Data };
type Claim = { readonly data: Data; status: string; member: string | null };

export type Trouble = 'unavailable' | 'cut' | 'too many' | 'late' | 'none';

/**
 * Answers the HTTP contract of the batch doors from memory and keeps what came in, so that a test can look at what the importer
 * really sent. Not a stand-in for the club: the whole of it is tested apart.
 */
export class RecordingClub {
  readonly claims = new Map<string, Claim>();
  readonly members = new Map<string, string | undefined>();
  readonly sizes: number[] = [];
  requests = 0;
  inFlight = 0;
  mostInFlight = 0;
  events = 0;
  authorization: string | undefined;
  /** What goes wrong with each request. */
  trouble: (request: number) => Trouble = () => 'none';
  /** How long a member stays unknown to the ledger after enrolling. */
  enrolmentLagMs = 0;
  delayMs = 0;
  readonly order: { readonly member: string | null; readonly purchaseId: string }[] = [];
  private readonly knownSince = new Map<string, number>();
  private readonly server: Server = createServer((request, response) => void this.handle(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** One point for each whole unit, to check sums by. */
  get points(): number {
    return [...this.claims.values()].reduce(
      (sum, claim) => sum + (claim.status === 'taken' ? pointsOf(claim.data) : 0),
      0,
    );
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const trouble = this.trouble(this.requests);
    this.authorization = request.headers.authorization;
    const body = await read(request);
    if (trouble === 'unavailable') return send(response, 503, { title: 'Not ready' }, { 'retry-after': '0' });
    if (trouble === 'too many') return send(response, 429, { title: 'Too many requests' });
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    if (this.delayMs > 0) await pause(this.delayMs);
    this.inFlight -= 1;
    if (request.url === '/v1/members/batch')
      return this.enrol(response, body as { members: { externalId: string; enrolledAt?: string }[] });
    if (request.url === '/v1/purchases/batch') return this.take(response, body as Event[], trouble);
    return send(response, 404, { title: 'Not found' });
  }

  private enrol(
    response: ServerResponse,
    { members }: { members: { externalId: string; enrolledAt?: string }[] },
  ): void {
    const results = members.map(({ externalId, enrolledAt }) => {
      if (externalId === 'nobody')
        return { status: 'rejected', errors: [{ pointer: '/externalId', detail: 'is taken by nobody' }] };
      const known = this.members.has(externalId);
      if (!known) {
        this.members.set(externalId, enrolledAt);
        this.knownSince.set(`external:${externalId}`, performance.now() + this.enrolmentLagMs);
      }
      return { status: known ? 'known' : 'enrolled', member: { externalId } };
    });
    send(response, 200, { results });
  }

  private take(response: ServerResponse, events: readonly Event[], trouble: Trouble): void {
    const bad = events.flatMap((event, index) =>
      event.data.purchaseId.includes('bad')
        ? [{ pointer: `/${index}/data/purchaseId`, detail: 'must not be bad' }]
        : [],
    );
    if (bad.length > 0) return send(response, 400, { title: 'Not valid', errors: bad });
    this.sizes.push(events.length);
    this.events += events.length;
    for (const { data } of events) this.order.push({ member: data.member, purchaseId: data.purchaseId });
    const results = events.map((event) => this.outcome(event));
    // The work is done, but whoever asked does not learn of it.
    if (trouble === 'cut') return void response.destroy();
    if (trouble === 'late')
      return send(response, 202, {
        results: results.map(({ source, purchaseId }) => ({ source, purchaseId, status: 'accepted' })),
      });
    send(response, 200, { results });
  }

  private outcome({ source, data }: Event) {
    const key = `${source} ${data.purchaseId}`;
    const known = data.member !== null && (this.knownSince.get(data.member) ?? Infinity) <= performance.now();
    const fresh = data.member === null ? 'anonymous' : known ? 'taken' : 'waiting';
    const claim = this.claims.get(key) ?? { data, status: fresh, member: data.member };
    this.claims.set(key, claim);
    if (claim.status === 'waiting' && known) claim.status = 'taken';
    const conflict = !isDeepStrictEqual(claim.data, data);
    const status = conflict ? 'conflict' : claim.status;
    const points = status === 'taken' ? pointsOf(claim.data) : 0;
    return {
      source,
      purchaseId: data.purchaseId,
      status,
      memberId: null,
      points,
      reason: conflict ? 'other content came under this id' : null,
    };
  }
}

const pointsOf = ({ total }: Data): number => Math.floor(total / 100);

const read = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
};

const send = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
};
