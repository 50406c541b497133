/** How many or how much, in millionths: exact, where a decimal text has up to six digits behind the point. */
export type Quantity = bigint;

const QUANTITY_DIGITS = 6;

/** Reads `"1.25"`; validation let nothing through that is no decimal number. */
export const quantityOf = (text: string): Quantity => {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(QUANTITY_DIGITS, '0').slice(0, QUANTITY_DIGITS));
};

export const quantityText = (quantity: Quantity): string => {
  const digits = String(quantity).padStart(QUANTITY_DIGITS + 1, '0');
  const fraction = digits.slice(-QUANTITY_DIGITS).replace(/0+$/, '');
  return `${digits.slice(0, -QUANTITY_DIGITS)}${fraction === '' ? '' : `.${fraction}`}`;
};

/** A line of a purchase, or what is left or taken of it: money in minor units, below zero for a points payment. */
export type Goods = { readonly lineId: string; readonly amount: number; readonly quantity: Quantity };

/** What a return says of a line: money, or how much of it, or both. */
export type ReturnedLine = {
  readonly lineId: string;
  readonly amount?: number | undefined;
  readonly quantity?: Quantity | undefined;
};

/** What came back: some lines, everything, or so much money of a purchase that the return itself did not name. */
export type ReturnedGoods =
  | { readonly kind: 'lines'; readonly lines: readonly ReturnedLine[] }
  | { readonly kind: 'whole' }
  | { readonly kind: 'amount'; readonly amount: number };

export type Taking =
  { readonly ok: true; readonly taken: readonly Goods[] } | { readonly ok: false; readonly reason: string };

/** What is left of each line after what was taken, in the order of the receipt. */
export const leftOf = (purchased: readonly Goods[], taken: readonly Goods[]): Goods[] => {
  const gone = new Map<string, { amount: number; quantity: Quantity }>();
  for (const { lineId, amount, quantity } of taken) {
    const before = gone.get(lineId) ?? { amount: 0, quantity: 0n };
    gone.set(lineId, { amount: before.amount + amount, quantity: before.quantity + quantity });
  }
  return purchased.map(({ lineId, amount, quantity }) => {
    const one = gone.get(lineId);
    if (one === undefined) return { lineId, amount, quantity };
    return { lineId, amount: amount - one.amount, quantity: quantity - one.quantity };
  });
};

/** What a return takes of what is left, or why not. Never more than there is, neither of money nor of goods. */
export const takeFrom = (left: readonly Goods[], returned: ReturnedGoods): Taking => {
  switch (returned.kind) {
    case 'lines':
      return takeLines(left, returned.lines);
    case 'whole': {
      const taken = left.filter(({ amount, quantity }) => amount !== 0 || quantity !== 0n);
      return taken.length === 0 ? { ok: false, reason: 'nothing-left' } : { ok: true, taken };
    }
    case 'amount':
      return takeAmount(left, returned.amount);
  }
};

const takeLines = (left: readonly Goods[], lines: readonly ReturnedLine[]): Taking => {
  const rest = new Map(left.map((line) => [line.lineId, line]));
  const taken = new Map<string, Goods>();
  for (const { lineId, amount, quantity } of lines) {
    const line = rest.get(lineId);
    if (line === undefined) return { ok: false, reason: `unknown-line: line ${lineId}` };
    if ((quantity ?? 0n) > line.quantity)
      return {
        ok: false,
        reason: `more-than-left: line ${lineId} has a quantity of ${quantityText(line.quantity)} left`,
      };
    const back = amount ?? shareOf(line, quantity ?? 0n);
    if (back > line.amount) return { ok: false, reason: `more-than-left: line ${lineId} has ${line.amount} left` };
    const now = { lineId, amount: back, quantity: quantity ?? 0n };
    rest.set(lineId, minus(line, now));
    taken.set(lineId, plus(now, taken.get(lineId)));
  }
  return { ok: true, taken: [...taken.values()] };
};

/** The money of a part of what is left, rounded down; the last of it takes all that is left. */
const shareOf = (line: Goods, quantity: Quantity): number =>
  line.quantity === 0n ? 0 : Number((BigInt(line.amount) * quantity) / line.quantity);

/** So much money of a purchase, whatever it was for: from its lines in the order of the receipt, without a word about how many. */
const takeAmount = (left: readonly Goods[], amount: number): Taking => {
  const most = amountLeft(left);
  if (amount > most) return { ok: false, reason: `more-than-left: the purchase has ${most} left` };
  const taken: Goods[] = [];
  let open = amount;
  for (const line of left) {
    const now = Math.min(open, Math.max(0, line.amount));
    if (now > 0) taken.push({ lineId: line.lineId, amount: now, quantity: 0n });
    open -= now;
  }
  return { ok: true, taken };
};

/** The money that may still be given back for a purchase: what was paid with points is none. */
export const amountLeft = (left: readonly Goods[]): number =>
  Math.max(
    0,
    left.reduce((sum, line) => sum + line.amount, 0),
  );

const minus = (line: Goods, other: Goods): Goods => ({
  lineId: line.lineId,
  amount: line.amount - other.amount,
  quantity: line.quantity - other.quantity,
});

const plus = (line: Goods, other: Goods | undefined): Goods =>
  other === undefined
    ? line
    : { lineId: line.lineId, amount: line.amount + other.amount, quantity: line.quantity + other.quantity };

/**
 * A line that came back, as a line of another content of its purchase (`undefined`: the line is not in it): the same money where the line is the
 * same, or where no goods came back; else the same pieces, for what they cost there.
 */
export const carriedLine = (
  { lineId, amount, quantity }: Goods,
  bought: Goods | undefined,
  offered: Goods | undefined,
): { lineId: string; amount?: number; quantity?: string } => {
  const isSame = bought?.amount === offered?.amount && bought?.quantity === offered?.quantity;
  if (quantity === 0n) return { lineId, amount };
  return { lineId, quantity: quantityText(quantity), ...(isSame ? { amount } : {}) };
};
