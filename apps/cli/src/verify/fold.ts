/** The little of a stored event that the ledger's arithmetic needs. Read here anew, not by the services' own types. */
export type LedgerEvent = {
  readonly account: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly recordedAt: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** A lot as the events left it. Instants are text with microseconds, UTC. */
export type FoldedLot = {
  readonly id: string;
  /** Of the event that opened it. */
  readonly revision: number;
  readonly amount: bigint;
  remaining: bigint;
  readonly times: string;
};

/** A movement of points as its event tells it. */
export type FoldedMovement = {
  readonly id: string;
  readonly revision: number;
  readonly member: string;
  readonly amount: bigint;
  readonly source: string | null;
  readonly purchaseId: string | null;
  readonly times: string;
  readonly kind: string;
  /** Of the programme that decided. */
  readonly rules: number | null;
  /** The explanation as JSON text. */
  readonly why: string;
};

/** An account as its events make it. */
export type FoldedAccount = {
  readonly id: string;
  member: string;
  revision: number;
  balance: bigint;
  earned: bigint;
  lastEffectiveAt: string;
  readonly lots: Map<string, FoldedLot>;
};

export const emptyAccount = (id: string): FoldedAccount => ({
  id,
  member: '',
  revision: -1,
  balance: 0n,
  earned: 0n,
  lastEffectiveAt: '',
  lots: new Map(),
});

const NONE = '-';

/** An instant as the database writes it: UTC with microseconds. Text that is none stays as it is and will be found different. */
export const micros = (value: unknown): string => {
  if (value === null || value === undefined) return NONE;
  if (typeof value !== 'string') return JSON.stringify(value);
  try {
    return Temporal.Instant.from(value).toString({ fractionalSecondDigits: 6, roundingMode: 'halfExpand' });
  } catch {
    return value;
  }
};

const whole = (value: unknown): bigint => (Number.isSafeInteger(value) ? BigInt(value as number) : -1n);
const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const list = (value: unknown): Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? (value as Record<string, unknown>[]) : [];

/** Called with each rule that the log itself breaks. */
export type Broken = (check: string, expected: unknown, found: unknown) => void;

/** Adds one event to its account and gives the movement that it stands for. */
export const fold = (account: FoldedAccount, event: LedgerEvent, broken: Broken): FoldedMovement | undefined => {
  const { data } = event;
  if (event.revision !== account.revision + 1) broken('revisions are contiguous', account.revision + 1, event.revision);
  account.revision = event.revision;
  if (event.type !== 'PointsEarned') {
    broken('event types are known', 'PointsEarned', event.type);
    return undefined;
  }
  const amount = whole(data['amount']);
  const effectiveAt = micros(data['effectiveAt']);
  checkEarned(account, event, amount, effectiveAt, broken);
  account.member = String(data['memberId']);
  account.balance += amount;
  account.earned += amount;
  account.lastEffectiveAt = effectiveAt;
  for (const lot of list(data['lots'])) {
    const id = String(lot['lotId']);
    if (account.lots.has(id)) broken('a lot is opened once', id, 'again');
    const times = [effectiveAt, micros(lot['availableAt']), micros(lot['expiresAt'])].join(' ');
    account.lots.set(id, {
      id,
      revision: event.revision,
      amount: whole(lot['amount']),
      remaining: whole(lot['amount']),
      times,
    });
  }
  return {
    id: String(data['transactionId']),
    revision: event.revision,
    member: account.member,
    amount,
    source: textOrNull(data['source']),
    purchaseId: textOrNull(data['purchaseId']),
    times: [micros(data['occurredAt']), effectiveAt, micros(event.recordedAt)].join(' '),
    kind: 'earned',
    rules: programmeOf(data['explanation']),
    why: JSON.stringify(data['explanation']),
  };
};

const programmeOf = (explanation: unknown): number | null =>
  typeof explanation === 'object' && explanation !== null && 'programme' in explanation
    ? Number(explanation.programme)
    : null;

/** What must hold within one award, whatever the rules of the programme were. */
const checkEarned = (
  account: FoldedAccount,
  event: LedgerEvent,
  amount: bigint,
  effectiveAt: string,
  broken: Broken,
): void => {
  const { data } = event;
  if (amount < 0n) broken('amounts are whole and not negative', '>= 0', data['amount']);
  if (String(data['transactionId']) !== event.id)
    broken('an award bears the id of its event', event.id, data['transactionId']);
  if (effectiveAt < account.lastEffectiveAt)
    broken('the time of an account never goes back', account.lastEffectiveAt, effectiveAt);
  if (effectiveAt < micros(data['occurredAt']))
    broken('nothing counts before it occurred', data['occurredAt'], effectiveAt);
  const lots = list(data['lots']).reduce((sum, lot) => sum + whole(lot['amount']), 0n);
  if (lots !== amount) broken('the lots of an award add up to it', amount, lots);
  const explanation = data['explanation'];
  const components =
    typeof explanation === 'object' && explanation !== null && 'components' in explanation
      ? list(explanation.components)
      : [];
  const explained = components.reduce((sum, component) => sum + whole(component['points']), 0n);
  if (explained !== amount) broken('the components of an award add up to it', amount, explained);
  for (const component of components) checkComponent(component, broken);
};

/** Points are rate times base, rounded down. */
const checkComponent = (component: Readonly<Record<string, unknown>>, broken: Broken): void => {
  const [points, per] = Array.isArray(component['rate']) ? (component['rate'] as unknown[]).map(whole) : [];
  if (points === undefined || per === undefined || per <= 0n)
    return broken('a component has a rate', '[points, per]', component['rate']);
  const worth = (points * whole(component['base'])) / per;
  if (component['rounding'] === 'floor' && worth !== whole(component['points']))
    broken('a component is its rate times its base', worth, component['points']);
};
