import type { Clock } from '@vafa/service/commands';

import { flag, line, Refusal, UsageError, type Command, type CommandInput, type ExitCode } from '../command.js';
import { audited, databaseOf, type OwnerDatabase } from '../installation/operator.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { didYouMean } from '../suggest.js';

const ACTIONS = ['show', 'set', 'advance'] as const;
type Action = (typeof ACTIONS)[number];

const instantOf = (given: string): Temporal.Instant | undefined => {
  try {
    return Temporal.Instant.from(given);
  } catch {
    return undefined;
  }
};

const durationOf = (given: string): Temporal.Duration | undefined => {
  const short = /^(\d{1,9})(s|m|h|d)$/.exec(given);
  if (short !== null) {
    const unit = { s: 'seconds', m: 'minutes', h: 'hours', d: 'hours' }[short[2] as 's' | 'm' | 'h' | 'd'];
    return Temporal.Duration.from({ [unit]: Number(short[1]) * (short[2] === 'd' ? 24 : 1) });
  }
  try {
    return Temporal.Duration.from(given);
  } catch {
    return undefined;
  }
};

type Step = (now: Temporal.Instant) => Temporal.Duration;

/** How far to go, from the words of the command line. @throws UsageError where they are no time. */
const stepOf = (action: Action, given: string | undefined): Step | null => {
  if (action === 'show') return null;
  if (given === undefined)
    throw new UsageError(`"clock ${action}" needs ${action === 'set' ? 'an instant' : 'a duration or an instant'}.`);
  const instant = instantOf(given);
  if (instant !== undefined) return (now) => now.until(instant);
  if (action === 'set') throw new UsageError(`"${given}" is not an instant such as 2027-01-01T00:00:00Z.`);
  const duration = durationOf(given);
  if (duration === undefined)
    throw new UsageError(
      `"${given}" is neither a duration such as 36h, 30d or P1M nor an instant such as 2027-01-01T00:00:00Z.`,
    );
  // Months and years are those of the calendar, from the business time that it is now.
  return (now) => now.until(now.toZonedDateTimeISO('UTC').add(duration).toInstant());
};

const move = (database: OwnerDatabase, business: Clock, step: Step): Promise<void> =>
  audited(database, async () => {
    const from = business.now();
    const to = await business.advance(step(from));
    return { action: 'clock.moved', subject: 'clock', details: { from: from.toString(), to: to.toString() } };
  });

const run = async ({ options, positionals, surroundings }: CommandInput): Promise<ExitCode> => {
  const [word = 'show', given] = positionals;
  const action = ACTIONS.find((name) => name === word);
  if (action === undefined)
    throw new UsageError(`The clock cannot "${word}".${didYouMean(word, ACTIONS)} It can: ${ACTIONS.join(', ')}.`);
  const step = stepOf(action, given);
  const { ClockRefusal, DatabaseClock, silentLogger } = await import('@vafa/service/commands');
  return withOwnerDatabase<ExitCode>(surroundings, async (client) => {
    const database = databaseOf(client);
    const production = surroundings.env['VAFA_ENVIRONMENT']?.trim() === 'production';
    const business = await DatabaseClock.open({ database, production, logger: silentLogger() });
    try {
      if (step !== null) await move(database, business, step);
      const [now, ahead] = [
        business.now().toString(),
        business.offset().round({ largestUnit: 'hours', smallestUnit: 'seconds' }),
      ];
      const offset = ahead.sign === 0 ? 'system time' : `${ahead.toString()} ahead of system time`;
      line(
        surroundings.stdout,
        flag(options, 'json') ? JSON.stringify({ now, offset: ahead.toString() }) : `${now}   (${offset})`,
      );
      return 0;
    } catch (error) {
      if (error instanceof ClockRefusal) throw new Refusal(`${error.message}.`);
      throw error;
    } finally {
      business.close();
    }
  });
};

export const clock: Command = {
  name: 'clock',
  summary: 'Reads the business clock, or moves it forward: never back, and never in production.',
  usage: '[show | set INSTANT | advance DURATION-OR-INSTANT]',
  options: { json: { type: 'boolean', description: 'One line of JSON.' } },
  notes: ['A duration is 45m, 36h, 30d or ISO 8601 (P1M). Running services follow within a second.'],
  positionals: { min: 0, max: 2 },
  run,
};
