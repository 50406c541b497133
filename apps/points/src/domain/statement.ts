import type { MovementKind } from './movement-kind.js';

/** One movement as far as figures are made of it. `amount` is what the balance moves by. */
export type FiguredMovement = {
  readonly kind: MovementKind;
  readonly amount: number;
  readonly writtenOff: number;
  /** What earned, by rule; empty where nothing did. */
  readonly components: readonly { readonly rule: string; readonly points: number }[];
};

/** The figures of a statement, in whole points: `opening` + `earned.points` + `reversed` = `closing`. */
export type Figures = {
  readonly opening: number;
  readonly earned: { readonly points: number; readonly byRule: readonly { rule: string; points: number }[] };
  /** What returns took back: never above zero. */
  readonly reversed: number;
  /** What returns should have taken and could not; the shop bears it, and no balance moves. */
  readonly writtenOff: number;
  readonly closing: number;
};

/** Sums movements up. @throws where they do not lead from `opening` to `closing`: a movement would be missing from the statement. */
export const figuresOf = (movements: readonly FiguredMovement[], opening: number, closing: number): Figures => {
  const sum = (of: readonly number[]): number => of.reduce((total, one) => total + one, 0);
  const amountOf = (kind: MovementKind): number =>
    sum(movements.filter((movement) => movement.kind === kind).map(({ amount }) => amount));
  const rules = new Map<string, number>();
  for (const { components } of movements)
    for (const { rule, points } of components) rules.set(rule, (rules.get(rule) ?? 0) + points);
  const figures: Figures = {
    opening,
    earned: {
      points: amountOf('earned'),
      byRule: [...rules].map(([rule, points]) => ({ rule, points })).toSorted((a, b) => (a.rule < b.rule ? -1 : 1)),
    },
    reversed: amountOf('reversed'),
    writtenOff: sum(movements.map(({ writtenOff }) => writtenOff)),
    closing,
  };
  if (
    opening + figures.earned.points + figures.reversed !== closing ||
    sum(movements.map(({ amount }) => amount)) !== closing - opening
  )
    throw new Error(`a statement opens with ${opening}, closes with ${closing}, and its movements lead elsewhere`);
  return figures;
};
