import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { runsOf, sortPage, type Item } from './sorting.js';

type Drawn = { readonly key: string | null; readonly type: string };

const items = (drawn: readonly Drawn[]): Item[] =>
  drawn.map(({ key, type }, i) => {
    const message = { topic: 't', partition: 0, offset: String(i), key, value: Buffer.alloc(0), headers: {} };
    const attributes = { id: String(i), source: '/s', type, time: undefined };
    const event = { ...attributes, data: i, key, traceparent: undefined, raw: message.value };
    return { message, event, replay: undefined };
  });

const unitOf = (type: string): string => (type === 'single' || type === 'other' ? '' : type);

describe('the runs of a page', () => {
  const page = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', null),
      type: fc.constantFrom('x', 'y', 'single', 'other'),
    }),
    { maxLength: 40 },
  );

  it('hold every message once, of one unit each, and keep the order of every key', () => {
    fc.assert(
      fc.property(page, (drawn) => {
        const all = items(drawn);
        const runs = runsOf(all, unitOf);
        const flat = runs.flatMap((run) => run.items);
        expect(flat.map(({ event }) => event.id).toSorted()).toEqual(all.map(({ event }) => event.id).toSorted());
        for (const run of runs) for (const { event } of run.items) expect(unitOf(event.type)).toBe(run.unit);
        for (const [key, ofKey] of Map.groupBy(flat, (item) => item.message.key)) {
          const places = ofKey.map(({ event }) => Number(event.id));
          if (key !== null) expect(places).toEqual(places.toSorted((x, y) => x - y));
        }
      }),
    );
  });

  it('are as large as the order of keys allows', () => {
    const mixed = Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, type: i % 2 === 0 ? 'x' : 'y' }));
    expect(runsOf(items(mixed), unitOf)).toHaveLength(2);
    const alternating = Array.from({ length: 4 }, (_, i) => ({ key: 'k', type: i % 2 === 0 ? 'x' : 'y' }));
    expect(runsOf(items(alternating), unitOf)).toHaveLength(4);
  });
});

describe('a page that is sorted', () => {
  it('sets messages aside whose key no bus of ours would take, before anybody reads them', () => {
    const keys = ['a\0', 'k'.repeat(513), 'é'.repeat(257), 'k'.repeat(512), 'é'.repeat(256), null];
    const messages = items(keys.map((key) => ({ key, type: 'x' }))).map(({ message }) => message);
    const read: (string | null)[] = [];
    const { items: sorted, letters } = sortPage(messages, {
      group: 'g',
      decode: (_value, { key }) => {
        read.push(key);
        return { ok: true, event: { id: '1', source: '/s', type: 'x' } };
      },
      replayOf: () => undefined,
      isHandled: () => true,
      isIgnored: () => false,
    });
    expect(letters.map(({ message, kind }) => [message.key, kind])).toEqual(
      keys.slice(0, 3).map((key) => [key, 'invalid']),
    );
    expect(letters[0]?.reason).toMatch(/^invalid-key: /);
    expect([sorted.map(({ message }) => message.key), read]).toEqual([keys.slice(3), keys.slice(3)]);
  });
});
