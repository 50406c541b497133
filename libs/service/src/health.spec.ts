import { describe, expect, it } from '@jest/globals';
import { Health } from './health.js';
import { silentLogger } from './logger.js';
import { Metrics } from './metrics.js';

describe('health', () => {
  it('is ready while every part answers, and shows its figures', async () => {
    const health = new Health(silentLogger());
    health.add('database', async () => undefined);
    health.add('reader', async () => ({ behind: 3 }));
    const report = await health.report();
    expect(report).toMatchObject({
      ready: true,
      checks: { database: { ok: true }, reader: { figures: { behind: 3 } } },
    });
  });

  it('says which part fails and how, and nothing of its inside', async () => {
    const health = new Health(silentLogger());
    let aborted = false;
    health.add('bus', () => Promise.reject(new Error('password of vafa is wrong')));
    health.add('slow', (signal) => new Promise(() => signal.addEventListener('abort', () => (aborted = true))), {
      timeoutMs: 5,
    });
    const report = await health.report();
    expect(report.ready).toBe(false);
    expect(report.checks).toMatchObject({
      bus: { ok: false, failure: 'failed' },
      slow: { ok: false, failure: 'timed out' },
    });
    expect(JSON.stringify(report)).not.toContain('password');
    expect(aborted).toBe(true);
  });

  it('asks once for many who ask at the same time, and is not ready once it stops', async () => {
    const health = new Health(silentLogger());
    let asked = 0;
    health.add('database', async () => void asked++);
    await Promise.all([health.report(), health.report(), health.report()]);
    expect(asked).toBe(1);
    health.stop();
    expect(await health.report()).toMatchObject({ ready: false, checks: { database: { ok: true } } });
  });

  it('refuses a name twice', () => {
    const health = new Health(silentLogger());
    health.add('database', async () => undefined);
    expect(() => health.add('database', async () => undefined)).toThrow(/already/);
  });
});

describe('metrics', () => {
  it('carry the name of the service, each service in a registry of its own', async () => {
    const [one, other] = [new Metrics('one'), new Metrics('other')];
    one.counter({ name: 'vafa_things_total', help: 'things' }).inc();
    other.counter({ name: 'vafa_things_total', help: 'things' }).inc(2);
    one.gauge({ name: 'vafa_level', help: 'level', collect: (gauge) => gauge.set(5) });
    one.observeRequest('GET', '/v1/x', 200, 0.004);
    expect(await one.content()).toContain('vafa_things_total{service="one"} 1');
    expect(await one.content()).toContain('vafa_level{service="one"} 5');
    expect(await other.content()).toContain('vafa_things_total{service="other"} 2');
  });

  it('go without the figures that cannot be had, and say so once', async () => {
    const failed: string[] = [];
    const metrics = new Metrics('one', { onError: (error, name) => failed.push(`${name}: ${String(error)}`) });
    let away = false;
    const lag = async (): Promise<number> => {
      if (away) throw new Error('the brokers are away');
      return 3;
    };
    metrics.gauge({
      name: 'vafa_lag',
      help: 'lag',
      labels: ['topic'],
      collect: async (gauge) => gauge.set({ topic: 'a' }, await lag()),
    });
    metrics.gauge({ name: 'vafa_outbox', help: 'outbox', collect: async (gauge) => gauge.set(await lag()) });
    metrics.gauge({
      name: 'vafa_frozen',
      help: 'frozen',
      collect: async () => (away ? new Promise(() => undefined) : undefined),
    });
    metrics.counter({ name: 'vafa_things_total', help: 'things' }).inc();
    expect(await metrics.content()).toContain('vafa_lag{topic="a",service="one"} 3');
    away = true;
    for (let scrape = 0; scrape < 2; scrape++) {
      const content = await metrics.content();
      expect(content).toContain('vafa_things_total{service="one"} 1');
      expect(content).not.toMatch(/^vafa_(lag|outbox|frozen)[{ ]/m);
    }
    expect(failed.toSorted()).toEqual([
      'vafa_frozen: Error: no answer within 2000 ms',
      'vafa_lag: Error: the brokers are away',
      'vafa_outbox: Error: the brokers are away',
    ]);
    away = false;
    expect(await metrics.content()).toContain('vafa_outbox{service="one"} 3');
  });

  it('refuse labels that would tell persons apart', () => {
    expect(() => new Metrics('x').counter({ name: 'vafa_x', help: 'x', labels: ['memberId'] })).toThrow(/persons/);
  });
});
