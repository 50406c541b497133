import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

type MetricOptions<L extends string> = {
  /** `vafa_…`, ending in its unit (`_seconds`, `_total`, `_bytes`). */
  readonly name: string;
  readonly help: string;
  /** Names of labels with few values. Never a member, an account, a purchase or a reference. */
  readonly labels?: readonly L[];
};

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What a scrape waits for one figure. A scraper gives up after some seconds, and then has none of the others either. */
const COLLECT_TIMEOUT_MS = 2_000;

// A label that takes this shape would make one time series a person.
const IDENTIFYING_LABEL = /member|account|purchase|reference|card|phone|email|user/i;

/** The metrics of one service in a registry of its own, each labelled with the service's name. */
export class Metrics {
  readonly registry = new Registry();
  private readonly httpDuration: Histogram<'method' | 'route' | 'status'>;
  // prom-client hashes its labels on each call; the child for a route is looked up once instead.
  private readonly httpChildren = new Map<string, { observe(seconds: number): void }>();
  private readonly failing = new Set<string>();
  private readonly onError: (error: unknown, name: string) => void;

  /**
   * @param options.process adds memory, CPU and event loop of the process: for one service a process only.
   * @param options.onError is told of the first of some figures in a row that could not be had.
   */
  constructor(
    readonly service: string,
    options: { process?: boolean; onError?: (error: unknown, name: string) => void } = {},
  ) {
    this.onError = options.onError ?? ((): void => undefined);
    this.registry.setDefaultLabels({ service });
    if (options.process ?? false) collectDefaultMetrics({ register: this.registry });
    this.httpDuration = this.histogram({
      name: 'vafa_http_request_duration_seconds',
      help: 'Time from the request line to the end of the answer',
      labels: ['method', 'route', 'status'],
    });
  }

  /** A number that only grows. */
  counter<L extends string = never>(options: MetricOptions<L>): Counter<L> {
    return new Counter({ ...this.checked(options), registers: [this.registry] });
  }

  /** A number that goes up and down; `collect` is called at each scrape to set it. Where it fails or takes 2 s, the scrape goes without. */
  gauge<L extends string = never>(
    options: MetricOptions<L> & { collect?: (gauge: Gauge<L>) => void | Promise<void> },
  ): Gauge<L> {
    const { collect } = options;
    const gauge: Gauge<L> = new Gauge({
      ...this.checked(options),
      registers: [this.registry],
      ...(collect && { collect: () => this.collected(options, gauge, async () => collect(gauge)) }),
    });
    return gauge;
  }

  /** Durations in seconds (buckets of 1 ms to 10 s unless told otherwise), or other sizes with buckets of their own. */
  histogram<L extends string = never>(options: MetricOptions<L> & { buckets?: readonly number[] }): Histogram<L> {
    return new Histogram({
      ...this.checked(options),
      buckets: [...(options.buckets ?? SECONDS)],
      registers: [this.registry],
    });
  }

  /** Counts one answered request. `route` is the pattern (`/v1/members/:ref`), never the path itself. */
  observeRequest(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${route} ${status}`;
    let child = this.httpChildren.get(key);
    if (!child) this.httpChildren.set(key, (child = this.httpDuration.labels(method, route, String(status))));
    child.observe(seconds);
  }

  /** Everything in the text format of Prometheus. */
  content(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  private async collected<L extends string>(
    { name, labels = [] }: MetricOptions<L>,
    gauge: Gauge<L>,
    collect: () => Promise<void>,
  ): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${COLLECT_TIMEOUT_MS} ms`)), COLLECT_TIMEOUT_MS);
    });
    try {
      await Promise.race([collect(), timedOut]);
      this.failing.delete(name);
    } catch (error) {
      // What was true a while ago looks like what is true now. Reset, a gauge without labels would be 0.
      gauge.reset();
      if (labels.length === 0) gauge.remove();
      if (!this.failing.has(name)) this.onError(error, name);
      this.failing.add(name);
    } finally {
      clearTimeout(timer);
    }
  }

  private checked<L extends string>(options: MetricOptions<L>): { name: string; help: string; labelNames: L[] } {
    const labelNames = [...(options.labels ?? [])];
    const identifying = labelNames.find((label) => IDENTIFYING_LABEL.test(label));
    if (identifying) throw new Error(`The label ${identifying} of ${options.name} would tell persons apart`);
    return { name: options.name, help: options.help, labelNames };
  }
}
