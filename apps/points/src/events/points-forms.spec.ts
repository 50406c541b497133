import { describe, expect, it } from '@jest/globals';
import type { Position } from '@vafa/event-sourcing';
import { readdirSync, readFileSync } from 'node:fs';
import { pointsCodec } from './points-forms.js';

const FOLDER = new URL('./fixtures/', import.meta.url);

type Fixture = { stored: { type: string; metadata: object; data: object }; today: object };
const fixtures = readdirSync(FOLDER).map((name): [string, Fixture] => [
  name,
  JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Fixture,
]);

const stored = ({ type, metadata, data }: Fixture['stored']) => ({
  id: '0199aaaa-0000-7000-8000-00000000000c',
  streamId: 'account-0199aaaa-0000-7000-8000-000000000001',
  revision: 0,
  position: '1' as Position,
  recordedAt: '2026-01-07T10:00:00Z',
  type,
  metadata: JSON.stringify(metadata),
  data: JSON.stringify(data),
});

describe('the stored events of an account', () => {
  it.each(fixtures)('%s is still read, and means what it meant', (_name, fixture) => {
    expect(pointsCodec.decode(stored(fixture.stored)).event).toEqual({
      type: fixture.stored.type,
      data: fixture.today,
    });
  });

  it('are written in the latest form that has a fixture', () => {
    const latest = new Map<string, number>();
    for (const [, { stored: event }] of fixtures) {
      const { schema } = event.metadata as { schema: number };
      latest.set(event.type, Math.max(schema, latest.get(event.type) ?? 0));
    }
    for (const [, fixture] of fixtures) {
      const { event } = pointsCodec.decode(stored(fixture.stored));
      const written = pointsCodec.encode(event, '0199aaaa-0000-7000-8000-00000000000c');
      expect(JSON.parse(written.metadata)).toEqual({ schema: latest.get(event.type) });
    }
    expect([...latest.keys()].sort()).toEqual(['PointsEarned', 'PointsReversed', 'PointsWrittenOff']);
  });
});
