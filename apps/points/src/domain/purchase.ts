/** What a line of a purchase is. Each kind earns or does not, as the programme says. */
export type LineKind = 'goods' | 'service' | 'shipping' | 'gift-card' | 'fee' | 'points-payment';

/** One line of a purchase as the rules see it; `amount` is what the customer pays for it, in minor units, after discounts. */
export type PurchaseLine = { readonly lineId: string; readonly amount: number; readonly kind: LineKind };

/** A purchase as the rules see it: identified for ever by `source` and `purchaseId`, amounts in minor units of `currency`. */
export type Purchase = {
  readonly source: string;
  readonly purchaseId: string;
  /** Canonical UTC. */
  readonly occurredAt: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly lines: readonly PurchaseLine[];
};
