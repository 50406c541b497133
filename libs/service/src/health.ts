import type { Logger } from './logger.js';

/** Resolves where the part works, maybe with a few figures to show; rejects where it does not. */
export type HealthCheck = (signal: AbortSignal) => Promise<HealthFigures | void>;

export type HealthFigures = Readonly<Record<string, number | boolean>>;

export type CheckResult = {
  readonly ok: boolean;
  readonly durationMs: number;
  readonly figures?: HealthFigures;
  /** Which kind of failure; the log has the rest. */
  readonly failure?: 'timed out' | 'failed';
};

export type HealthReport = {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, CheckResult>>;
};

const TIMEOUT_MS = 2_000;
// Readiness is asked without a token: many askers share one round of checks.
const REPORT_KEPT_MS = 500;

/** Whether a service can do its work: every check passes within its time. */
export class Health {
  private readonly checks = new Map<string, { check: HealthCheck; timeoutMs: number }>();
  private kept: { at: number; report: Promise<HealthReport> } | null = null;
  private stopping = false;

  constructor(private readonly logger: Logger) {}

  /** Adds a part to look at. It must answer within `timeoutMs`, 2 s by default. */
  add(name: string, check: HealthCheck, options: { timeoutMs?: number } = {}): void {
    if (this.checks.has(name)) throw new Error(`There is a health check ${name} already`);
    this.checks.set(name, { check, timeoutMs: options.timeoutMs ?? TIMEOUT_MS });
  }

  /** From now on not ready, so that nobody sends new work to a service that is going away. */
  stop(): void {
    this.stopping = true;
    this.kept = null;
  }

  /** Runs all checks at once. A report is kept for half a second. Never rejects. */
  report(): Promise<HealthReport> {
    const now = performance.now();
    if (this.kept && now - this.kept.at < REPORT_KEPT_MS) return this.kept.report;
    const report = this.runAll();
    this.kept = { at: now, report };
    return report;
  }

  private async runAll(): Promise<HealthReport> {
    const results = await Promise.all(
      [...this.checks].map(async ([name, { check, timeoutMs }]) => [name, await this.run(name, check, timeoutMs)]),
    );
    const checks = Object.fromEntries(results) as Record<string, CheckResult>;
    return { ready: !this.stopping && Object.values(checks).every(({ ok }) => ok), checks };
  }

  private async run(name: string, check: HealthCheck, timeoutMs: number): Promise<CheckResult> {
    const started = performance.now();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const aborted = new Promise<never>((_resolve, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error));
    });
    const durationMs = (): number => Math.round((performance.now() - started) * 10) / 10;
    try {
      const figures = await Promise.race([check(abort.signal), aborted]);
      return { ok: true, durationMs: durationMs(), ...(figures && { figures }) };
    } catch (err) {
      this.logger.warn({ err, check: name }, 'health check failed');
      return { ok: false, durationMs: durationMs(), failure: abort.signal.aborted ? 'timed out' : 'failed' };
    } finally {
      clearTimeout(timer);
    }
  }
}
