import { describe, expect, it } from '@jest/globals';
import { EventCodec, UnknownEventError } from './event-codec.js';
import { eventIdOf } from './event-id.js';
import type { Position, StoredEvent } from './event-store.js';

type Opened = { type: 'Opened'; data: { owner: string; limit: number } };
type Closed = { type: 'Closed'; data: object };

const codec = new EventCodec<Opened | Closed>({
  Opened: {
    version: 3,
    upcasters: {
      1: ({ name, ...rest }) => ({ ...rest, owner: name }),
      2: (data) => ({ ...data, limit: 0 }),
    },
  },
  Closed: { version: 1 },
});

const stored = (type: string, data: object, schema: unknown): StoredEvent => ({
  id: '0192f0c1-0000-7000-8000-000000000000',
  type,
  data: JSON.stringify(data),
  metadata: JSON.stringify({ schema, causation: 'c' }),
  streamId: 'account-1',
  revision: 4,
  position: '9' as Position,
  recordedAt: '2026-11-22T00:00:00Z',
});

describe('EventCodec', () => {
  it('writes the version into the metadata and reads the same event back', () => {
    const event: Opened = { type: 'Opened', data: { owner: 'o', limit: 5 } };
    const encoded = codec.encode(event, 'id', { causation: 'c' });
    expect(encoded.metadata).toBe('{"schema":3,"causation":"c"}');
    const decoded = codec.decode({ ...stored('Opened', {}, 3), ...encoded });
    expect(decoded).toMatchObject({ id: 'id', revision: 4, position: '9', metadata: { causation: 'c' }, event });
  });

  it('lifts older versions step by step', () => {
    expect(codec.decode(stored('Opened', { name: 'n' }, 1)).event.data).toEqual({ owner: 'n', limit: 0 });
    expect(codec.decode(stored('Opened', { owner: 'n' }, 2)).event.data).toEqual({ owner: 'n', limit: 0 });
  });

  it.each([
    ['Opened', 4],
    ['Opened', 0],
    ['Opened', '1'],
    ['Opened', undefined],
    ['Renamed', 1],
  ])('stops loudly at %s in version %j', (type, schema) => {
    expect(() => codec.decode(stored(type, {}, schema))).toThrow(UnknownEventError);
  });

  it('is not made with an upcaster missing', () => {
    expect(() => new EventCodec<Closed>({ Closed: { version: 2 } })).toThrow('no upcaster from version 1');
  });
});

describe('eventIdOf', () => {
  const command = '0192f0c1-0000-7000-8000-00000000abcd';

  it('gives the first event the command’s id and the others a uuid of their own, always the same', () => {
    const ids = Array.from({ length: 100 }, (_, n) => eventIdOf(command, n));
    expect(ids[0]).toBe(command);
    expect(new Set(ids).size).toBe(100);
    for (const id of ids.slice(1))
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(eventIdOf(command, 7)).toBe(ids[7]);
  });
});
