import { describe, expect, it } from '@jest/globals';
import { decodeMessage } from '@vafa/contracts';
import type { Member } from '../application/member.entity.js';
import { enrolledEvent } from './enrolled.publisher.js';

const member: Member = {
  memberId: '01997f00-0000-7000-8000-000000000001',
  externalId: '07592',
  card: '9712345678901234',
  enrolledAt: Temporal.Instant.from('1997-01-01T00:00:00.5Z'),
  source: null,
  status: 'active',
};

describe('loyalty.member.enrolled', () => {
  it.each<[string, Member]>([
    ['a member with everything', member],
    ['a member with nothing', { ...member, externalId: null, card: null }],
  ])('of %s follows its contract', (_name, one) => {
    const { topic, key, event } = enrolledEvent(one);
    expect([topic, key]).toEqual(['loyalty.members', member.memberId]);
    expect(decodeMessage(Buffer.from(JSON.stringify({ ...event, sequence: 1 })), { key })).toMatchObject({
      ok: true,
      event: { id: `enrolled-${member.memberId}`, data: { enrolledAt: '1997-01-01T00:00:00.5Z', card: one.card } },
    });
  });
});
