/** What a running installation tells the commands on the same machine, in `run.json` of its data folder. */
export type RunFile = {
  readonly pid: number;
  /** An instant in UTC. */
  readonly startedAt: string;
  readonly version: string;
  /** Base address of the HTTP API. */
  readonly api: string;
  /** What analysts connect with. */
  readonly database: string;
  /** What the owner of all schemas connects with: the reason why only this user may read the file. */
  readonly databaseOwner: string;
  readonly services: Readonly<Record<string, { readonly health: string; readonly metrics: string }>>;
};
