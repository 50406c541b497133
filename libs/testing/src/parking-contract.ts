import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import {
  DeadLettersFull,
  type DeadLetter,
  type DeadLetters,
  type InboundEvent,
  type Message,
  type ReceivedMessage,
  type VafaTransportOptions,
} from '@vafa/messaging';
import { setTimeout as pause } from 'node:timers/promises';
import { deferred, eventually } from './eventually.js';
import {
  firstsOf,
  listener,
  startListening,
  thing,
  TOPIC,
  type TransportContractOptions,
  type TransportHarness,
} from './transport-parts.js';

const PATIENCE_MS = 60_000;
/** Each costs a pause before the page comes again, longer with every one that follows upon another. */
const BREAKS_MAX = 12;

/** What must hold of keys whose messages wait, on every message bus. A part of `transportContract`. */
export const parkingContract = (
  name: string,
  start: () => Promise<TransportHarness>,
  options: TransportContractOptions,
): void => {
  const firsts = firstsOf(options);
  describe(`parked keys on ${name}`, () => {
    let harness: TransportHarness;
    let broken: (event: InboundEvent<number>) => boolean;
    /** What was handled without a failure, in the order in which it was. */
    let got: string[];
    const services: INestApplication[] = [];

    beforeEach(async () => {
      broken = ({ key, data }) => key === 'k' && data === 1;
      got = [];
      harness = await start();
      await harness.bus.ensureTopics([{ name: TOPIC, partitions: 6, retentionMs: 3_600_000 }]);
    });

    afterEach(async () => {
      await Promise.all(services.splice(0).map((service) => service.close()));
      await harness.close();
    });

    const handle = (event: InboundEvent<number>): void => {
      if (broken(event)) throw new Error('broken');
      got.push(`${event.key}${event.data}`);
    };
    const service = async (options: Partial<VafaTransportOptions> = {}): Promise<INestApplication> => {
      const app = await startListening(harness, [listener('a', handle)], options);
      services.push(app);
      return app;
    };
    const publish = (...messages: Message[]): Promise<void> => harness.bus.publish(messages);
    const numbers = (key: string, from: number, to: number): Message[] =>
      Array.from({ length: to - from + 1 }, (_, i) => thing('a', key, from + i));
    const letters = async (): Promise<DeadLetter[]> => {
      const found = await harness.deadLetters.list({ group: 'service', limit: 1_000 });
      return found.toSorted((one, other) => Number(one.offset) - Number(other.offset));
    };
    const open = async (): Promise<DeadLetter[]> =>
      (await letters()).filter(({ status }) => status === 'waiting' || status === 'replaying');
    const of = (key: string): readonly number[] =>
      firsts(got.filter((one) => one.startsWith(key)).map((one) => Number(one.slice(key.length))));
    const replayFirst = async (): Promise<number> => {
      const [first] = await letters();
      return harness.deadLetters.replay([first?.id ?? '']);
    };
    const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

    it('wait while consumers stop, start, come and go; other keys go on; a replay then brings them in order', async () => {
      const first = await service();
      await publish(...numbers('k', 1, 2), ...numbers('l', 1, 2));
      await eventually(async () => expect(await open()).toHaveLength(2), PATIENCE_MS);
      await service();
      await publish(...numbers('k', 3, 4), ...numbers('l', 3, 4));
      await eventually(async () => expect(await open()).toHaveLength(4), PATIENCE_MS);
      await first.close();
      await publish(...numbers('k', 5, 6), ...numbers('l', 5, 6));
      await eventually(async () => expect(await open()).toHaveLength(6), PATIENCE_MS);
      await eventually(() => expect(of('l')).toEqual(range(1, 6)), PATIENCE_MS);
      expect(of('k')).toEqual([]);
      broken = () => false;
      await service();
      expect(await replayFirst()).toBe(6);
      await eventually(() => expect(of('k')).toEqual(range(1, 6)), PATIENCE_MS);
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
    });

    it('are released in order also while new messages of the key keep coming', async () => {
      await service();
      await publish(...numbers('k', 1, 20));
      await eventually(async () => expect(await open()).toHaveLength(20), PATIENCE_MS);
      broken = () => false;
      for (let from = 21; from <= 60; from += 2) {
        await publish(...numbers('k', from, from + 1));
        // More than once, and in the midst of it.
        if (from === 25 || from === 29) await replayFirst();
      }
      await eventually(() => expect(of('k').at(-1)).toBe(60), PATIENCE_MS);
      expect([...new Set(of('k'))]).toEqual(range(1, 60));
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
      await publish(...numbers('k', 61, 61));
      await eventually(() => expect(of('k').at(-1)).toBe(61), PATIENCE_MS);
    });

    it('come in as many rounds as they need', async () => {
      const TO = 700;
      await service();
      await publish(...numbers('k', 1, TO));
      await eventually(async () => expect(await open()).toHaveLength(TO), PATIENCE_MS);
      broken = () => false;
      expect(await replayFirst()).toBeLessThan(TO);
      await eventually(() => expect(of('k')).toEqual(range(1, TO)), PATIENCE_MS);
    });

    it('are void where copies of an earlier replay come again, in whatever state the key is by then', async () => {
      const copies: ReceivedMessage[] = [];
      await harness.bus.subscribe({
        group: 'recorder',
        topics: [TOPIC],
        pageSize: 100,
        handler: async ({ messages }) =>
          void copies.push(...messages.filter(({ headers }) => headers['vafa-replay'] !== undefined)),
      });
      await service();
      await publish(...numbers('k', 1, 2));
      await eventually(async () => expect(await open()).toHaveLength(2), PATIENCE_MS);
      broken = () => false;
      await replayFirst();
      await eventually(() => expect(of('k')).toEqual([1, 2]), PATIENCE_MS);
      await eventually(() => expect(copies).toHaveLength(2), PATIENCE_MS);
      const again = copies.map(({ topic, key, value, headers }) => ({ topic, key, value, headers }));
      await publish(...again, ...numbers('k', 3, 3));
      await eventually(() => expect(of('k')).toEqual([1, 2, 3]), PATIENCE_MS);
      broken = ({ data }) => data === 4;
      await publish(...numbers('k', 4, 5), ...again);
      await eventually(async () => expect(await open()).toHaveLength(2), PATIENCE_MS);
      broken = () => false;
      await publish(...again);
      await harness.deadLetters.replay((await open()).map(({ id }) => id));
      await publish(...again, ...numbers('k', 6, 6));
      await eventually(() => expect(of('k')).toEqual(range(1, 6)), PATIENCE_MS);
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
    });

    it('go on without the one that is discarded, also where it is on its way again', async () => {
      const app = await service();
      await publish(...numbers('k', 1, 3));
      await eventually(async () => expect(await open()).toHaveLength(3), PATIENCE_MS);
      await app.close();
      broken = () => false;
      expect(await replayFirst()).toBe(3);
      const [first] = await letters();
      expect(await harness.deadLetters.discard([first?.id ?? ''], 'not wanted')).toBe(1);
      await service();
      await publish(...numbers('k', 4, 4));
      await eventually(() => expect(of('k')).toEqual([2, 3, 4]), PATIENCE_MS);
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
      expect((await letters())[0]).toMatchObject({ status: 'discarded', note: 'not wanted' });
    });

    it('go on where what failed is of a type that is left alone by now', async () => {
      const app = await startListening(harness, [
        listener('b', () => {
          throw new Error('broken');
        }),
        listener('a', handle),
      ]);
      await publish(thing('b', 'k', 0), ...numbers('k', 2, 3));
      await eventually(async () => expect(await open()).toHaveLength(3), PATIENCE_MS);
      await app.close();
      await service({ ignoredTypes: ['b'] });
      await replayFirst();
      await publish(...numbers('k', 4, 4));
      await eventually(() => expect(of('k')).toEqual([2, 3, 4]), PATIENCE_MS);
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
    });

    it('fail again after they were settled, and are parked again', async () => {
      const app = await service();
      await publish(...numbers('k', 1, 2));
      await eventually(async () => expect(await open()).toHaveLength(2), PATIENCE_MS);
      await app.close();
      broken = () => false;
      const [failed] = await letters();
      await harness.deadLetters.discard([failed?.id ?? ''], 'not wanted');
      const again = await service();
      await eventually(() => expect(of('k')).toEqual([2]), PATIENCE_MS);
      // A letter is settled only after its message was handled, and until then another failure of it changes nothing.
      await eventually(async () => expect(await open()).toEqual([]), PATIENCE_MS);
      await again.close();
      // As where the offset was lost with the process: everything comes once more, to a group of the same letters. It is added while no
      // transport is there, which would have to know of it: within its epoch nobody else parks a key.
      const shown = await harness.deadLetters.show((await letters())[1]?.id ?? '');
      if (shown === undefined) throw new Error('the letter is gone');
      const { topic, partition, offset, key, value, headers } = shown;
      const message = { topic, partition, offset, key, value, headers };
      await harness.deadLetters.add('service', [{ message, kind: 'failed', reason: 'broken' }]);
      await service();
      await publish(...numbers('k', 3, 3));
      await eventually(
        async () => expect((await open()).map(({ kind }) => kind)).toEqual(['failed', 'behind']),
        PATIENCE_MS,
      );
      await harness.deadLetters.replay((await open()).map(({ id }) => id));
      await eventually(() => expect(of('k')).toEqual(firsts([2, 2, 3])), PATIENCE_MS);
    });

    it('stop their partition, say so once, and lose nothing where no further letter is kept', async () => {
      let room = 2;
      const told = deferred<DeadLettersFull>();
      let times = 0;
      const full = over(harness.deadLetters, {
        add: async (group, added) => {
          if ((await open()).length + added.length > room) throw new DeadLettersFull(group, 'key', room);
          await harness.deadLetters.add(group, added);
        },
      });
      const onStopped = (error: DeadLettersFull): void => {
        times++;
        told.resolve(error);
      };
      await service({ deadLetters: full, onStopped });
      await publish(...numbers('k', 1, 2));
      await eventually(async () => expect(await open()).toHaveLength(2), PATIENCE_MS);
      await publish(...numbers('k', 3, 6));
      expect((await told.promise).message).toContain('stand still');
      expect(await open()).toHaveLength(2);
      room = 100;
      await eventually(async () => expect(await open()).toHaveLength(6), PATIENCE_MS);
      broken = () => false;
      await replayFirst();
      await eventually(() => expect(of('k')).toEqual(range(1, 6)), PATIENCE_MS);
      expect(times).toBe(1);
    });

    it.each([11, 29, 47])(
      'lose nothing and keep their order, whichever step is the last before a break (seed %i)',
      async (seed) => {
        const chance = seeded(seed);
        const failures = new Map<string, number>();
        broken = ({ key, data }) => {
          const left = failures.get(`${key}${data}`) ?? (data % 7 === 3 ? 4 : 0);
          failures.set(`${key}${data}`, left - 1);
          return left > 0;
        };
        let breaks = BREAKS_MAX;
        const deadLetters = breaking(harness.deadLetters, () => breaks > 0 && chance() < 0.2 && breaks-- > 0);
        let app = await service({ deadLetters });
        const KEYS = ['k', 'l', 'm', 'n'];
        const LAST = 24;
        for (let data = 1; data <= LAST; data++) {
          await publish(...KEYS.map((key) => thing('a', key, data)));
          if (chance() < 0.4) await replayAll(harness.deadLetters, await open());
          if (data % 8 === 0) {
            await app.close();
            app = await service({ deadLetters });
          }
        }
        await eventually(async () => {
          await replayAll(
            harness.deadLetters,
            (await open()).filter(({ status }) => status === 'waiting'),
          );
          await pause(50);
          expect(KEYS.map((key) => new Set(of(key)).size)).toEqual(KEYS.map(() => LAST));
          expect(await open()).toEqual([]);
        }, PATIENCE_MS);
        // A repeat may come: the first sight of each is in order.
        for (const key of KEYS) expect([...new Set(of(key))]).toEqual(range(1, LAST));
      },
    );
  });
};

const replayAll = async (deadLetters: DeadLetters, letters: readonly DeadLetter[]): Promise<void> => {
  await deadLetters.replay(letters.map(({ id }) => id));
};

/** The same with some of its methods in another way. */
const over = (deadLetters: DeadLetters, changes: Partial<DeadLetters>): DeadLetters =>
  new Proxy(deadLetters, {
    get(target, name) {
      const found: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof found === 'function' ? (found as (...given: unknown[]) => unknown).bind(target) : found;
    },
  });

/** Breaks before or after what it does, as a process that ends there would. */
const breaking = (deadLetters: DeadLetters, isBreak: () => boolean): DeadLetters => {
  const around =
    <Given extends unknown[], Answer>(act: (...given: Given) => Promise<Answer>) =>
    async (...given: Given): Promise<Answer> => {
      if (isBreak()) throw new Error('broken off before');
      const answer = await act(...given);
      if (isBreak()) throw new Error('broken off after');
      return answer;
    };
  return over(deadLetters, {
    add: around(deadLetters.add.bind(deadLetters)),
    settle: around(deadLetters.settle.bind(deadLetters)),
    awaited: around(deadLetters.awaited.bind(deadLetters)),
    parkedKeys: around(deadLetters.parkedKeys.bind(deadLetters)),
  });
};

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
const seeded = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};
