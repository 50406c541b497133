/**
 * Business time: what rules, expiry and campaigns go by. It never goes back. Tokens, leases, back-off and time-outs use
 * system time instead.
 */
export interface Clock {
  /** Business time now, to the millisecond; never before an earlier answer. */
  now(): Temporal.Instant;
  /** How far business time is ahead of system time. */
  offset(): Temporal.Duration;
  /** Moves business time on to an instant. @throws ClockRefusal in production, and for an instant that has passed. */
  set(instant: Temporal.Instant): Promise<Temporal.Instant>;
  /** Moves business time on by a duration without years, months and weeks. @throws ClockRefusal in production, for a step back, or one beyond `ADVANCE_HOURS_MAX`. */
  advance(by: Temporal.Duration): Promise<Temporal.Instant>;
}

/** A hundred years: beyond it, a slip of the finger rather than a test. */
export const ADVANCE_HOURS_MAX = 100 * 366 * 24;

/** The clock was asked for what it does not do. */
export class ClockRefusal extends Error {
  override readonly name = 'ClockRefusal';

  constructor(
    readonly reason: 'production' | 'backwards' | 'too-far',
    message: string,
  ) {
    super(message);
  }
}

/** The milliseconds of a step that is allowed. @throws ClockRefusal for any other. */
export const stepMs = (by: Temporal.Duration): number => {
  const ms = by.total('milliseconds');
  if (ms < 0) throw new ClockRefusal('backwards', 'Business time does not go back');
  if (ms > ADVANCE_HOURS_MAX * 3_600_000)
    throw new ClockRefusal('too-far', `Business time goes on by ${ADVANCE_HOURS_MAX} hours at most at a time`);
  return Math.round(ms);
};

/** Stands still unless moved: for tests. */
export class FixedClock implements Clock {
  private instant: Temporal.Instant;

  constructor(at: string | Temporal.Instant) {
    this.instant = Temporal.Instant.from(at);
  }

  now(): Temporal.Instant {
    return this.instant;
  }

  offset(): Temporal.Duration {
    return new Temporal.Duration();
  }

  set(instant: Temporal.Instant): Promise<Temporal.Instant> {
    return this.move(() => Temporal.Duration.from(this.instant.until(instant)));
  }

  advance(by: Temporal.Duration): Promise<Temporal.Instant> {
    return this.move(() => by);
  }

  private async move(step: () => Temporal.Duration): Promise<Temporal.Instant> {
    this.instant = this.instant.add({ milliseconds: stepMs(step()) });
    return this.instant;
  }
}
