/** One thing that is not as the log says. */
export type Difference = {
  /** Which rule is broken. */
  readonly check: string;
  /** What it is about: an account, an event, a purchase. */
  readonly subject: string;
  readonly expected: unknown;
  readonly found: unknown;
};

/** Differences that are kept to be shown; beyond them they are only counted. */
const KEPT_MAX = 100;

export class Differences {
  readonly kept: Difference[] = [];
  readonly byCheck: Record<string, number> = {};
  total = 0;

  add(check: string, subject: string, expected: unknown, found: unknown): void {
    this.total += 1;
    this.byCheck[check] = (this.byCheck[check] ?? 0) + 1;
    if (this.kept.length < KEPT_MAX) this.kept.push({ check, subject, expected, found });
  }

  /** Adds a difference unless the two are equal as text. */
  compare(check: string, subject: string, expected: unknown, found: unknown): void {
    if (String(expected) !== String(found)) this.add(check, subject, expected, found);
  }
}
