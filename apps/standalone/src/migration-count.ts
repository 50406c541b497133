/** A person is told how many migrations there were; which ones is for the log. */
export class MigrationCount {
  private count = 0;

  constructor(private readonly note: (name: string) => void = () => undefined) {}

  /** One more has been applied. */
  readonly take = (name: string): void => {
    this.count++;
    this.note(name);
  };

  /** Says one line where there was any, and begins anew. */
  tell(say: (line: string) => void): void {
    if (this.count > 0) say(`Database: ${this.count} ${this.count === 1 ? 'migration' : 'migrations'} applied.`);
    this.count = 0;
  }
}
