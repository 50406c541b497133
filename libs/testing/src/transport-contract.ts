import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { INestApplication, Type } from '@nestjs/common';
import {
  type InboundContext,
  VafaTransport,
  type DeadLetter,
  type InboundEvent,
  type Message,
  type VafaTransportOptions,
} from '@vafa/messaging';
import { EMPTY, map, NEVER, type Observable, of, throwError } from 'rxjs';
import { setTimeout as pause } from 'node:timers/promises';
import { deferred, eventually } from './eventually.js';
import { parkingContract } from './parking-contract.js';
import {
  ATTEMPTS_MAX,
  decode,
  filteredListener,
  firstsOf,
  type Handle,
  listener,
  pipedListener,
  startListening,
  thing,
  TOPIC,
  type TransportContractOptions,
  type TransportHarness,
} from './transport-parts.js';

type Events = readonly InboundEvent<number>[];

/** What the Nest transport must do on every message bus: real applications, real handlers. */
export const transportContract = (
  name: string,
  start: () => Promise<TransportHarness>,
  options: TransportContractOptions = {},
): void => {
  const firsts = firstsOf(options);
  describe(`the Nest transport on ${name}`, () => {
    let harness: TransportHarness;
    const services: INestApplication[] = [];

    beforeEach(async () => {
      harness = await start();
      await harness.bus.ensureTopics([{ name: TOPIC, partitions: 6, retentionMs: 3_600_000 }]);
    });

    afterEach(async () => {
      await Promise.all(services.splice(0).map((service) => service.close()));
      await harness.close();
    });

    const service = async (
      controllers: Type[],
      options: Partial<VafaTransportOptions> = {},
    ): Promise<INestApplication> => {
      const app = await startListening(harness, controllers, options);
      services.push(app);
      return app;
    };

    const letters = async (group = 'service'): Promise<DeadLetter[]> => {
      const found = await harness.deadLetters.list({ group, limit: 1_000 });
      return found.toSorted((a, b) => Number(a.offset) - Number(b.offset));
    };
    const waiting = async (): Promise<DeadLetter[]> => (await letters()).filter(({ status }) => status === 'waiting');
    const kinds = async (group?: string): Promise<(string | null)[][]> =>
      (await letters(group)).map(({ kind, key }) => [kind, key]);
    const publish = (...messages: Message[]): Promise<void> => harness.bus.publish(messages);

    describe('handing over', () => {
      it('gives a handler one event at a time with its message, in the order of its key', async () => {
        const got: { key: string | null; data: number; offset: string; raw: string }[] = [];
        const handle = ({ key, data, raw }: InboundEvent<number>, context: InboundContext): void => {
          expect(context.isStale()).toBe(false);
          got.push({ key, data, offset: context.message.offset, raw: raw.toString() });
        };
        await service([listener('a', handle)]);
        await publish(...Array.from({ length: 90 }, (_, i) => thing('a', `k${i % 7}`, i)));
        await eventually(() => expect(got).toHaveLength(90));
        for (const [key, events] of Map.groupBy(got, (one) => one.key)) {
          const data = events.map((event) => event.data);
          expect(data).toEqual(data.toSorted((x, y) => x - y));
          expect(JSON.parse(events[0]?.raw ?? '')).toMatchObject({ type: 'a', data: data[0] });
          expect(key).toMatch(/^k\d$/);
        }
      });

      it('keeps many keys in flight', async () => {
        let running = 0;
        let most = 0;
        const handle = async (): Promise<void> => {
          most = Math.max(most, ++running);
          await pause(20);
          running--;
        };
        await publish(...Array.from({ length: 40 }, (_, i) => thing('a', `k${i}`, i)));
        await service([listener('a', handle)]);
        await eventually(() => expect(most).toBeGreaterThan(10));
      });

      it('gives a page handler arrays, and keeps the order of a key across types', async () => {
        const calls: string[][] = [];
        const collect = (events: Events): void => void calls.push(events.map(({ type, data }) => `${type}${data}`));
        const one = ({ type, data }: InboundEvent<number>): void => void calls.push([`${type}${data}`]);
        await publish(
          ...[thing('a', 'k', 1), thing('a', 'l', 2), thing('b', 'k', 3), thing('a', 'm', 4), thing('a', 'k', 5)],
          ...[thing('c', 'k', 6), thing('a', 'l', 7), thing('b', 'l', 8)],
        );
        await service([listener('a', collect, true), listener('b', collect, true), listener('c', one)]);
        await eventually(() => expect(calls.flat()).toHaveLength(8));
        const flat = calls.flat();
        expect(flat.filter((x) => ['a1', 'b3', 'a5', 'c6'].includes(x))).toEqual(['a1', 'b3', 'a5', 'c6']);
        expect(flat.filter((x) => ['a2', 'a7', 'b8'].includes(x))).toEqual(['a2', 'a7', 'b8']);
        expect(calls.length).toBeLessThan(8);
      });

      it('waits for the Observable, for every handler of a type, and for one without a value', async () => {
        const gate = deferred();
        const ended: string[] = [];
        const slow = async (): Promise<Observable<number>> => {
          await gate.promise;
          return of(1).pipe(map((n) => (ended.push('slow'), n)));
        };
        const quick = (): Observable<never> => (ended.push('quick'), EMPTY);
        const app = await service([listener('a', quick), listener('a', slow)], { handlerTimeoutMs: 5_000 });
        await publish(thing('a', 'k', 1));
        await eventually(() => expect(ended).toEqual(['quick']));
        const closing = app.close();
        await pause(50);
        gate.resolve();
        await closing;
        expect(ended).toEqual(['quick', 'slow']);
        const again: number[] = [];
        await service([listener('a', ({ data }: InboundEvent<number>) => void again.push(data))]);
        await publish(thing('a', 'k', 2));
        await eventually(() => expect(again).toEqual([2]));
      });

      it('runs a handler in the trace of its message', async () => {
        const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
        const got: unknown[] = [];
        const answer = async (event: InboundEvent<number>, context: InboundContext): Promise<void> => {
          got.push(context.message.headers['traceparent']);
          if (event.data === 1) await publish(thing('a', 'k', 2));
        };
        await service([listener('a', answer)]);
        await publish({ ...thing('a', 'k', 1), headers: { traceparent } });
        await eventually(() => expect(got).toEqual([traceparent, traceparent]));
      });

      it('lets pipes and interceptors do their work', async () => {
        const got: unknown[] = [];
        await service([pipedListener('a', (payload: unknown) => void got.push(payload))]);
        await publish(thing('a', 'k', 20));
        await eventually(() => expect(firsts(got)).toEqual([21, 'intercepted']));
      });

      it('lets a filter say that a failure is none', async () => {
        const got: unknown[] = [];
        await service([filteredListener('a', (payload: unknown) => void got.push(payload))]);
        await publish(thing('a', 'k', 1), thing('a', 'k', 2));
        await eventually(() => expect(firsts(got)).toEqual(['filtered 1', 'filtered 2']));
        expect(await kinds()).toEqual([]);
      });

      it('refuses to start without its filter, and handlers that cannot be served', async () => {
        const { bus, deadLetters } = harness;
        const bare = new VafaTransport({ bus, deadLetters, group: 'g', topics: [TOPIC], decode });
        const failed = deferred<unknown>();
        bare.listen((error) => failed.resolve(error));
        expect(await failed.promise).toMatchObject({ message: expect.stringContaining('connectTransport') });
        const mixed = [listener('a', () => undefined), listener('a', () => undefined, true)];
        await expect(service(mixed)).rejects.toThrow(/all take pages/);
      });
    });

    const failures: [string, Handle][] = [
      [
        'throws',
        () => {
          throw new Error('broken');
        },
      ],
      ['rejects', async () => Promise.reject(new Error('broken'))],
      ['returns an Observable that errors', () => throwError(() => new Error('broken'))],
      ['never ends', () => new Promise(() => undefined)],
      ['returns an Observable that never ends', () => NEVER],
    ];

    describe.each(failures)('a handler that %s', (_words, fail) => {
      it('fails after its attempts, and the later messages of its key wait behind', async () => {
        let attempts = 0;
        const got: number[] = [];
        const handle = (event: InboundEvent<number>, context: InboundContext): unknown => {
          if (event.data !== 1) return void got.push(event.data);
          attempts++;
          return fail(event as never, context);
        };
        await service([listener('a', handle)]);
        await publish(thing('a', 'bad', 1), thing('a', 'good', 2), thing('a', 'bad', 3));
        await eventually(async () => expect(await kinds()).toHaveLength(2));
        await publish(thing('a', 'bad', 4), thing('a', 'good', 5));
        await eventually(async () => expect(await kinds()).toHaveLength(3));
        expect(await kinds()).toEqual([
          ['failed', 'bad'],
          ['behind', 'bad'],
          ['behind', 'bad'],
        ]);
        await eventually(() => expect(firsts(got)).toEqual([2, 5]));
        if (options.repeats === true) expect(attempts).toBeGreaterThanOrEqual(ATTEMPTS_MAX);
        else expect(attempts).toBe(ATTEMPTS_MAX);
        expect((await letters())[0]?.reason).toMatch(/broken|did not end within 300 ms/);
      });

      it('does not hold up a page of others', async () => {
        const got = new Set<number>();
        const handle = (events: Events, context: InboundContext): unknown => {
          if (events.some(({ data }) => data === 13)) return fail(events as never, context);
          return events.forEach(({ data }) => got.add(data));
        };
        await publish(...Array.from({ length: 40 }, (_, i) => thing('a', `k${i % 20}`, i)));
        await service([listener('a', handle, true)], { handlerTimeoutMs: 50 });
        await eventually(async () =>
          expect(await kinds()).toEqual([
            ['failed', 'k13'],
            ['behind', 'k13'],
          ]),
        );
        await eventually(() => expect(got.size).toBe(38));
        expect(got.has(13) || got.has(33)).toBe(false);
      });
    });

    describe('failures', () => {
      it('parks nothing where a later attempt succeeds', async () => {
        let failing = ATTEMPTS_MAX - 1;
        const got: number[] = [];
        const handle = ({ data }: InboundEvent<number>): void => {
          if (data === 1 && failing-- > 0) throw new Error('not yet');
          got.push(data);
        };
        await service([listener('a', handle)]);
        await publish(thing('a', 'k', 1), thing('a', 'k', 2));
        await eventually(() => expect(firsts(got)).toEqual([1, 2]));
        expect(await kinds()).toEqual([]);
      });

      it.each([true, false])(
        'waits for a database that is away, however long, and parks nothing (pages: %s)',
        async (page) => {
          let attempts = 0;
          let got = 0;
          const handle = (payload: InboundEvent | Events): Observable<never> | void => {
            if (attempts++ < ATTEMPTS_MAX + 2) {
              const away = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
              return throwError(() => new Error('could not store', { cause: new Error('page', { cause: away }) }));
            }
            got += Array.isArray(payload) ? payload.length : 1;
          };
          await service([listener('a', handle, page)], { pageSize: 50 });
          await publish(thing('a', 'k', 1), thing('a', 'k', 2), thing('a', 'l', 3));
          await eventually(() => expect(got).toBe(3));
          expect(await kinds()).toEqual([]);
        },
      );

      it('of one service leave another alone that listens to the same topic', async () => {
        const good: number[] = [];
        const bad: number[] = [];
        const failing = ({ data }: InboundEvent<number>): void => {
          if (data === 1) throw new Error('broken');
          bad.push(data);
        };
        await service([listener('a', ({ data }: InboundEvent<number>) => void good.push(data))], { group: 'one' });
        await service([listener('a', failing)], { group: 'two' });
        await publish(thing('a', 'k', 1), thing('a', 'k', 2), thing('a', 'l', 3));
        await eventually(async () =>
          expect(await kinds('two')).toEqual([
            ['failed', 'k'],
            ['behind', 'k'],
          ]),
        );
        await eventually(() => expect(firsts(good.toSorted())).toEqual([1, 2, 3]));
        await eventually(() => expect(firsts(bad)).toEqual([3]));
        expect(await kinds('one')).toEqual([]);
      });

      it('keep a key parked over a restart', async () => {
        const handle = ({ data }: InboundEvent<number>): void => {
          if (data === 1) throw new Error('broken');
        };
        const app = await service([listener('a', handle)]);
        await publish(thing('a', 'k', 1));
        await eventually(async () => expect(await kinds()).toHaveLength(1));
        await app.close();
        const got: number[] = [];
        await service([listener('a', ({ data }: InboundEvent<number>) => void got.push(data))]);
        await publish(thing('a', 'k', 2), thing('a', 'l', 3));
        await eventually(async () =>
          expect(await kinds()).toEqual([
            ['failed', 'k'],
            ['behind', 'k'],
          ]),
        );
        await eventually(() => expect(firsts(got)).toEqual([3]));
      });
    });

    describe('messages that are not valid', () => {
      it('go to the dead letters at once with their bytes, and their key goes on', async () => {
        const got: number[] = [];
        await service([listener('a', ({ data }: InboundEvent<number>) => void got.push(data))]);
        const bytes = Buffer.from([0xff, 0x00, 0x7b]);
        await publish({ topic: TOPIC, key: 'k', value: bytes, headers: { h: 'v' } }, thing('a', 'k', 1));
        await eventually(() => expect(firsts(got)).toEqual([1]));
        const [letter] = await letters();
        expect(letter).toMatchObject({
          kind: 'invalid',
          key: 'k',
          reason: 'not-json: not JSON; /x is wrong',
          topic: TOPIC,
        });
        const shown = await harness.deadLetters.show(letter?.id ?? '');
        expect(shown).toMatchObject({ value: bytes, headers: { h: 'v' }, status: 'waiting' });
      });

      it('and those without a handler: to the dead letters, unless their type is left alone on purpose', async () => {
        const seen: string[] = [];
        const onDeadLetters: VafaTransportOptions['onDeadLetters'] = (found) =>
          void seen.push(...found.map(({ reason }) => reason));
        await service([listener('a', () => undefined)], { ignoredTypes: ['quiet'], onDeadLetters });
        await publish(thing('b', 'k', 1), thing('quiet', 'k', 2), thing('unknown', 'k', 3), thing('a', 'k', 4));
        await eventually(async () =>
          expect(await kinds()).toEqual([
            ['unhandled', 'k'],
            ['unhandled', 'k'],
          ]),
        );
        await eventually(() => expect(firsts(seen)).toEqual(['no handler for b', 'unknown-type: nobody knows it']));
      });
    });

    describe('replay', () => {
      let broken: boolean;
      let got: number[];
      const handle = ({ data }: InboundEvent<number>): void => {
        if (broken && data % 10 === 1) throw new Error('broken');
        got.push(data);
      };

      beforeEach(async () => {
        broken = true;
        got = [];
        await service([listener('a', handle)]);
        await publish(thing('a', 'k', 1), thing('a', 'k', 2), thing('a', 'l', 3));
        await eventually(async () => expect(await waiting()).toHaveLength(2));
        await eventually(() => expect(firsts(got)).toEqual([3]));
        got = [];
      });

      const ids = async (): Promise<string[]> => (await letters()).map(({ id }) => id);

      it('brings what failed and what waited behind it, in order, and frees the key', async () => {
        broken = false;
        const [first] = await ids();
        expect(await harness.deadLetters.replay([first ?? ''])).toBe(2);
        await publish(thing('a', 'k', 4), thing('a', 'k', 5));
        await eventually(() => expect(firsts(got)).toEqual([1, 2, 4, 5]));
        await eventually(async () => expect(await waiting()).toEqual([]));
        await publish(thing('a', 'k', 6));
        await eventually(() => expect(firsts(got)).toEqual([1, 2, 4, 5, 6]));
        expect((await letters()).every(({ status }) => status === 'replayed')).toBe(true);
      });

      it('does no harm twice, and no group but the one that failed sees it', async () => {
        const other: number[] = [];
        await service([listener('a', ({ data }: InboundEvent<number>) => void other.push(data))], { group: 'other' });
        await eventually(() => expect(other).toHaveLength(3));
        broken = false;
        const all = await ids();
        await Promise.all([harness.deadLetters.replay(all), harness.deadLetters.replay(all)]);
        await harness.deadLetters.replay(all);
        await publish(thing('a', 'k', 4));
        await eventually(() => expect(got.at(-1)).toBe(4));
        expect(new Set(got)).toEqual(new Set([1, 2, 4]));
        await eventually(async () => expect((await letters()).every(({ status }) => status === 'replayed')).toBe(true));
        expect(await harness.deadLetters.replay(all)).toBe(0);
        await eventually(() => expect(other).toEqual([...other.slice(0, 3), 4]));
      });

      it('of what fails again waits again, in the same order', async () => {
        const [first] = await ids();
        await harness.deadLetters.replay([first ?? '']);
        await publish(thing('a', 'k', 4));
        await eventually(async () => expect(await waiting()).toHaveLength(3));
        expect(got).toEqual([]);
        broken = false;
        await harness.deadLetters.replay([first ?? '']);
        await eventually(() => expect(firsts(got)).toEqual([1, 2, 4]));
      });

      it('follows where what failed is discarded', async () => {
        const [first] = await ids();
        expect(await harness.deadLetters.discard([first ?? ''], 'a test purchase')).toBe(1);
        await eventually(() => expect(firsts(got)).toEqual([2]));
        await publish(thing('a', 'k', 4));
        await eventually(() => expect(firsts(got)).toEqual([2, 4]));
        expect((await letters())[0]).toMatchObject({ status: 'discarded', note: 'a test purchase' });
      });

      it('cannot be forged', async () => {
        const forged = {
          'vafa-replay': `nobody ${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)} 1 ${'0'.repeat(32)}`,
        };
        await publish({ ...thing('a', 'l', 8), headers: forged });
        await eventually(() => expect(firsts(got)).toEqual([8]));
      });

      it('comes too late after the retention; what only waited behind it is sent, and the key goes on', async () => {
        await pause(20);
        expect(await harness.deadLetters.purge(10)).toBe(1);
        await publish(thing('a', 'k', 4));
        await eventually(() => expect(firsts(got)).toEqual([2, 4]));
        await eventually(async () => expect((await letters()).every(({ status }) => status === 'replayed')).toBe(true));
      });
    });
  });
  parkingContract(name, start, options);
};
