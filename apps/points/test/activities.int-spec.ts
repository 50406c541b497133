import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { uuidv7 } from 'uuidv7';
import type { IncomingActivity } from '../src/application/activities.js';
import { anActivity, enrolled, startFixture, type Fixture } from './fixture.js';

let points: Fixture;

beforeAll(async () => {
  points = await startFixture();
});
afterAll(() => points.close());

const outcome = (activity: IncomingActivity) => points.register.outcomes([activity]).then(([found]) => found ?? null);

/** What listeners were told of this activity: type and status. */
const told = async ({ naturalId }: IncomingActivity): Promise<string[]> => {
  const rows = await points.database.query<{ event: string }>(
    `select convert_from(value, 'UTF8') as event from messaging.log join messaging.topics topic on topic.id = log.topic
     where topic.name = 'loyalty.points' order by log.at, log.position`,
  );
  return rows
    .map((row) => JSON.parse(row.event) as { type: string; data: { activityId?: string; status: string } })
    .filter(({ data }) => data.activityId === naturalId)
    .map(({ type, data }) => `${type} ${data.status}`);
};

describe('an activity', () => {
  it('of a known member is taken and told of, earns nothing, and says why', async () => {
    const { memberId, reference } = await enrolled(points);
    const activity = anActivity({ member: reference });
    await points.activities.take([activity]);
    const expected = { status: 'taken', memberId, points: 0, reason: 'activity-not-in-programme', transactionId: null };
    expect(await outcome(activity)).toMatchObject(expected);
    expect(await told(activity)).toEqual(['loyalty.activity.accepted taken']);
  });

  it('changes nothing when it comes again, in the same page, later, or from two sides at once', async () => {
    const { memberId, reference } = await enrolled(points);
    const activity = anActivity({ member: reference });
    const byId: IncomingActivity = { ...activity, data: { ...activity.data, member: `member:${memberId}` } };
    await points.activities.take([activity, byId]);
    await Promise.all([points.activities.take([activity]), points.restarted().activities.take([byId])]);
    expect(await outcome(byId)).toMatchObject({ status: 'taken', memberId });
    expect(await told(activity)).toEqual(['loyalty.activity.accepted taken']);
  });

  it('has keys of its own: a purchase may have the same', async () => {
    const { reference } = await enrolled(points);
    const activity = anActivity({ member: reference });
    await points.activities.take([activity]);
    const key = { kind: 'purchase', source: activity.source, naturalId: activity.naturalId } as const;
    expect(await points.register.find(key)).toBeUndefined();
  });

  it('is a conflict with other content or another member, and every content is kept', async () => {
    const [one, other] = [await enrolled(points), await enrolled(points)];
    const activity = anActivity({ member: one.reference });
    const changed = anActivity({ ...activity.data, activity: 'newsletter.subscribed' });
    const stolen: IncomingActivity = { ...activity, data: { ...activity.data, member: other.reference } };
    await points.activities.take([activity, changed, stolen, stolen]);
    expect(await outcome(activity)).toMatchObject({ status: 'taken' });
    expect(await outcome(changed)).toMatchObject({ status: 'conflict', reason: 'content-conflict' });
    const kept = await points.database.query(
      `select content from points.conflicts where kind = 'activity' and natural_id = $1`,
      [activity.naturalId],
    );
    expect(kept).toHaveLength(2);
    expect(await told(activity)).toEqual([
      'loyalty.activity.accepted taken',
      'loyalty.activity.refused conflict',
      'loyalty.activity.refused conflict',
    ]);
  });

  it('is refused from too far ahead', async () => {
    const { reference } = await enrolled(points);
    const activity = anActivity({ member: reference, occurredAt: '2026-06-01T14:00:01+01:00' });
    await points.activities.take([activity]);
    expect(await outcome(activity)).toMatchObject({ status: 'refused', reason: 'occurred-in-the-future' });
  });
});

describe('an activity whose member is unknown', () => {
  it('waits, and is taken when the member enrols, once', async () => {
    const memberId = uuidv7();
    const reference = `external:${memberId}`;
    const activity = anActivity({ member: reference });
    await points.activities.take([activity, activity]);
    expect(await outcome(activity)).toMatchObject({ status: 'waiting', memberId: null, reason: 'unknown-member' });
    await points.references.add([{ reference, memberId }]);
    await Promise.all([points.activities.takeUp([reference]), points.restarted().activities.takeUp([reference])]);
    await points.activities.takeUp([reference]);
    expect(await outcome(activity)).toMatchObject({ status: 'taken', memberId, reason: 'activity-not-in-programme' });
    expect(await told(activity)).toEqual(['loyalty.activity.waiting waiting', 'loyalty.activity.accepted taken']);
  });

  it('is taken when the enrolment comes while it is being parked, whoever comes first', async () => {
    for (let round = 0; round < 10; round++) {
      const memberId = uuidv7();
      const reference = `external:${memberId}`;
      const activity = anActivity({ member: reference });
      const enrol = async (): Promise<void> => {
        await points.references.add([{ reference, memberId }]);
        await points.activities.takeUp([reference]);
      };
      await Promise.all([points.activities.take([activity]), enrol(), points.restarted().activities.take([activity])]);
      expect(await outcome(activity)).toMatchObject({ status: 'taken', memberId });
    }
  });

  it('is taken up by its own repeat where the enrolment was cut off', async () => {
    const memberId = uuidv7();
    const reference = `external:${memberId}`;
    const activity = anActivity({ member: reference });
    await points.activities.take([activity]);
    await points.references.add([{ reference, memberId }]);
    await points.activities.take([activity]);
    expect(await outcome(activity)).toMatchObject({ status: 'taken', memberId });
  });
});
