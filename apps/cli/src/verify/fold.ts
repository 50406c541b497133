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
  /** What the balance moves by. */
  readonly amount: bigint;
  readonly writtenOff: bigint;
  readonly source: string | null;
  readonly purchaseId: string | null;
  readonly returnId: string | null;
  readonly times: string;
  readonly kind: 'earned' | 'reversed' | 'written-off';
  /** Of the programme that decided. */
  readonly rules: number | null;
  /** The explanation as JSON text. */
  readonly why: string;
  /** Of a return: the money that came back of each component of the awards it reverses. */
  readonly returned: readonly ReturnedMoney[];
};

/** So much money of these lines of a purchase. */
export type ReturnedMoney = {
  readonly source: string;
  readonly purchaseId: string;
  readonly lines: readonly string[];
  readonly money: bigint;
};

/** What a component of an award was worked out on, by `rule version`. */
type Awarded = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/** An account as its events make it. */
export type FoldedAccount = {
  readonly id: string;
  member: string;
  revision: number;
  /** Available less debt. */
  balance: bigint;
  debt: bigint;
  earned: bigint;
  reversed: bigint;
  lastEffectiveAt: string;
  /** Every lot, also those with nothing left. */
  readonly lots: Map<string, FoldedLot>;
  /** The components of its awards, by the award's id. */
  readonly awards: Map<string, Awarded>;
  /** What was drawn, by `revision lot transaction`. */
  readonly draws: Map<string, bigint>;
  /** The money that returns gave back of each component, each from and to, by `award rule version`. */
  readonly returned: Map<string, (readonly [from: bigint, to: bigint])[]>;
  /** What the last reversal could not take and the next event has to write off. */
  short: { readonly reversal: string; readonly points: bigint } | null;
};

export const emptyAccount = (id: string): FoldedAccount => ({
  id,
  member: '',
  revision: -1,
  balance: 0n,
  debt: 0n,
  earned: 0n,
  reversed: 0n,
  lastEffectiveAt: '',
  lots: new Map(),
  awards: new Map(),
  draws: new Map(),
  returned: new Map(),
  short: null,
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
  if (event.revision !== account.revision + 1) broken('revisions are contiguous', account.revision + 1, event.revision);
  account.revision = event.revision;
  if (account.short !== null && event.type !== 'PointsWrittenOff')
    broken('what a reversal cannot take is written off', account.short.points, event.type);
  if (!['PointsEarned', 'PointsReversed', 'PointsWrittenOff'].includes(event.type)) {
    broken('event types are known', 'one of an account', event.type);
    return undefined;
  }
  checkTimes(account, event, broken);
  account.member = String(event.data['memberId']);
  account.lastEffectiveAt = micros(event.data['effectiveAt']);
  if (event.type === 'PointsEarned') return foldEarned(account, event, broken);
  return event.type === 'PointsReversed'
    ? foldReversed(account, event, broken)
    : foldWrittenOff(account, event, broken);
};

const foldEarned = (account: FoldedAccount, event: LedgerEvent, broken: Broken): FoldedMovement => {
  const { data } = event;
  const amount = whole(data['amount']);
  checkEarned(event, amount, broken);
  account.balance += amount;
  account.earned += amount;
  account.awards.set(event.id, new Map(componentsOf(data).map((component) => [nameOf(component), component])));
  for (const lot of list(data['lots'])) {
    const id = String(lot['lotId']);
    if (account.lots.has(id)) broken('a lot is opened once', id, 'again');
    const times = [account.lastEffectiveAt, micros(lot['availableAt']), micros(lot['expiresAt'])].join(' ');
    const opened = whole(lot['amount']);
    account.lots.set(id, { id, revision: event.revision, amount: opened, remaining: opened, times });
  }
  // An event from before there were debts names no draws.
  const paid = draw(account, event, broken);
  const due = account.debt < amount ? account.debt : amount;
  if (paid !== due) broken('a credit pays the debt first', due, paid);
  account.debt -= paid;
  return {
    ...movementOf(account, event),
    amount,
    writtenOff: 0n,
    purchaseId: textOrNull(data['purchaseId']),
    kind: 'earned',
    rules: programmeOf(data['explanation']),
    why: JSON.stringify(data['explanation']),
    returned: [],
  };
};

const foldReversed = (account: FoldedAccount, event: LedgerEvent, broken: Broken): FoldedMovement => {
  const { data } = event;
  const reversals = list(data['reversals']);
  const amount = whole(data['amount']);
  const debt = whole(data['debt']);
  const drawn = draw(account, event, broken);
  if (String(data['transactionId']) !== event.id)
    broken('a reversal bears the id of its event', event.id, data['transactionId']);
  if (drawn + debt !== amount) broken('a reversal is what was drawn and what is owed', amount, drawn + debt);
  const wanted = reversals.reduce((sum, reversal) => sum + reversedPoints(account, reversal, broken), 0n);
  if (wanted < amount) broken('a reversal takes no more than the goods had earned', wanted, amount);
  account.short = wanted > amount ? { reversal: event.id, points: wanted - amount } : null;
  account.balance -= amount;
  account.debt += debt;
  account.reversed += amount;
  const { currency, uncovered } = data;
  const parts = { fromLots: Number(drawn), debt: Number(debt), writtenOff: Number(wanted - amount) };
  const [only] = reversals.length === 1 ? reversals : [];
  return {
    ...movementOf(account, event),
    amount: -amount,
    writtenOff: 0n,
    purchaseId: textOrNull(only?.['purchaseId']),
    kind: 'reversed',
    rules: only === undefined ? null : Number(only['programme']),
    why: JSON.stringify({ currency, reversals, ...parts, uncovered }),
    returned: reversals.flatMap((reversal) => returnedMoney(account, reversal)),
  };
};

const foldWrittenOff = (account: FoldedAccount, event: LedgerEvent, broken: Broken): FoldedMovement => {
  const { data } = event;
  const amount = whole(data['amount']);
  if (account.short?.reversal !== data['reversalId'] || account.short?.points !== amount)
    broken('a write-off is of what its reversal could not take', account.short?.points ?? 0n, amount);
  account.short = null;
  return {
    ...movementOf(account, event),
    amount: 0n,
    writtenOff: amount,
    purchaseId: null,
    kind: 'written-off',
    rules: null,
    why: JSON.stringify({ reversalId: data['reversalId'], writtenOff: Number(amount) }),
    returned: [],
  };
};

/** What every movement has. */
const movementOf = (
  account: FoldedAccount,
  event: LedgerEvent,
): Pick<FoldedMovement, 'id' | 'revision' | 'member' | 'source' | 'returnId' | 'times'> => ({
  id: event.id,
  revision: event.revision,
  member: account.member,
  source: textOrNull(event.data['source']),
  returnId: textOrNull(event.data['returnId']),
  times: [micros(event.data['occurredAt']), account.lastEffectiveAt, micros(event.recordedAt)].join(' '),
});

/** Takes what an event drew out of the lots; answers how much in all. */
const draw = (account: FoldedAccount, event: LedgerEvent, broken: Broken): bigint => {
  let sum = 0n;
  for (const one of list(event.data['draws'])) {
    const id = String(one['lotId']);
    const amount = whole(one['amount']);
    const lot = account.lots.get(id);
    if (lot === undefined || amount <= 0n || amount > lot.remaining)
      broken('a lot gives what it has', `${lot?.remaining ?? 0n} of lot ${id}`, amount);
    if (lot !== undefined) lot.remaining -= amount;
    account.draws.set(`${event.revision} ${id} ${event.id}`, amount);
    sum += amount;
  }
  return sum;
};

/**
 * The points of one reversal: each component what was kept before was worth at the rate of its award, whatever it says itself, less what is kept
 * after, and no money given back twice.
 */
const reversedPoints = (
  account: FoldedAccount,
  reversal: Readonly<Record<string, unknown>>,
  broken: Broken,
): bigint => {
  let sum = 0n;
  for (const component of list(reversal['components'])) {
    const { keptBefore, keptAfter, points } = component;
    const [from, to] = [whole(keptBefore), whole(keptAfter)];
    const awarded = account.awards.get(String(reversal['awardId']))?.get(nameOf(component));
    if (awarded === undefined) broken('a reversed component is one of its award', reversal['awardId'], 'none');
    const { rate, base } = awarded ?? {};
    if (JSON.stringify(rate) !== JSON.stringify(component['rate']))
      broken('a return takes back at the rate of its award', rate, component['rate']);
    if (from > whole(base)) broken('no more is kept than was bought', base, from);
    const lost = worth(awarded ?? {}, from) - worth(awarded ?? {}, to);
    if (lost !== whole(points)) broken('a reversed component is what its goods were worth', lost, points);
    const key = `${String(reversal['awardId'])} ${nameOf(component)}`;
    const before = account.returned.get(key) ?? [];
    // Returns may reach the ledger in another order than that of their purchase: parts of the money, each given back once.
    if (to > from || before.some(([start, end]) => from > end && start > to))
      broken('money is given back once', key, `${from} to ${to}`);
    account.returned.set(key, [...before, [from, to]]);
    sum += whole(points);
  }
  return sum;
};

/** What the components of the award lost, those included of which nothing came back. */
const returnedMoney = (account: FoldedAccount, reversal: Readonly<Record<string, unknown>>): ReturnedMoney[] => {
  const parts = new Map(list(reversal['components']).map((component) => [nameOf(component), component]));
  return [...(account.awards.get(String(reversal['awardId'])) ?? [])].map(([name, { lines }]) => {
    const { keptBefore = 0, keptAfter = 0 } = parts.get(name) ?? {};
    return {
      source: String(reversal['source']),
      purchaseId: String(reversal['purchaseId']),
      lines: Array.isArray(lines) ? lines.map(String) : [],
      money: whole(keptBefore) - whole(keptAfter),
    };
  });
};

const nameOf = ({ rule, version }: Readonly<Record<string, unknown>>): string => `${String(rule)} ${String(version)}`;

const componentsOf = ({ explanation }: LedgerEvent['data']): Readonly<Record<string, unknown>>[] =>
  typeof explanation === 'object' && explanation !== null && 'components' in explanation
    ? list(explanation.components)
    : [];

const worth = (component: Readonly<Record<string, unknown>>, money: bigint): bigint => {
  const [points = 0n, per = 1n] = Array.isArray(component['rate']) ? (component['rate'] as unknown[]).map(whole) : [];
  return money <= 0n || per === 0n ? 0n : (points * money) / per;
};

const programmeOf = (explanation: unknown): number | null =>
  typeof explanation === 'object' && explanation !== null && 'programme' in explanation
    ? Number(explanation.programme)
    : null;

/** What must hold of every event. */
const checkTimes = (account: FoldedAccount, { data }: LedgerEvent, broken: Broken): void => {
  const effectiveAt = micros(data['effectiveAt']);
  if (whole(data['amount']) < 0n) broken('amounts are whole and not negative', '>= 0', data['amount']);
  if (effectiveAt < account.lastEffectiveAt)
    broken('the time of an account never goes back', account.lastEffectiveAt, effectiveAt);
  if (effectiveAt < micros(data['occurredAt']))
    broken('nothing counts before it occurred', data['occurredAt'], effectiveAt);
};

/** What must hold within one award, whatever the rules of the programme were. */
const checkEarned = (event: LedgerEvent, amount: bigint, broken: Broken): void => {
  const { data } = event;
  if (String(data['transactionId']) !== event.id)
    broken('an award bears the id of its event', event.id, data['transactionId']);
  const lots = list(data['lots']).reduce((sum, lot) => sum + whole(lot['amount']), 0n);
  if (lots !== amount) broken('the lots of an award add up to it', amount, lots);
  const components = componentsOf(data);
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
