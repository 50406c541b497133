import { describe, expect, it } from '@jest/globals';
import { pointsConfig } from './config.js';

describe('the settings of points', () => {
  it('count months in UTC by the Gregorian calendar unless told', () => {
    expect(pointsConfig({})).toMatchObject({ zone: 'UTC', calendar: 'gregorian' });
    const told = { VAFA_ZONE: 'Asia/Tehran', VAFA_CALENDAR: 'persian' };
    expect(pointsConfig(told)).toMatchObject({ zone: 'Asia/Tehran', calendar: 'persian' });
  });

  it('take no zone without a name and no calendar that nobody counts in', () => {
    for (const zone of ['+03:30', 'Asia/Teheran-2', 'local'])
      expect(() => pointsConfig({ VAFA_ZONE: zone })).toThrow(/VAFA_ZONE.*Asia\/Tehran/);
    expect(() => pointsConfig({ VAFA_CALENDAR: 'mayan' })).toThrow(/VAFA_CALENDAR/);
  });
});
