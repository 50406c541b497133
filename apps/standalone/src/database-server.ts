import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { connectClient, startEmbeddedPostgres, StartupError } from '@vafa/persistence';
import { keyFile } from '@vafa/service';

/** The PostgreSQL that everything works on. */
export type DatabaseServer = {
  /** With the login that owns everything. */
  readonly ownerUrl: string;
  /** With the login of analysts; without a password where none is known. */
  readonly analystUrl: string;
  readonly analystPassword: string | undefined;
  /** What a person is told of it. */
  readonly description: string;
  /** Rejects when a server of ours ends although nobody stopped it; never settles for another's. */
  readonly lost: Promise<never>;
  stop(options?: { hurry?: boolean }): Promise<void>;
};

export type DatabaseServerOptions = {
  readonly folder: string;
  readonly databaseUrl: string | null;
  readonly port: number;
  readonly analystPassword: string | null;
  readonly log: (line: string) => void;
};

const PASSWORD_BYTES = 18;

/** Starts the embedded server, or takes the one that the configuration names. @throws StartupError */
export async function openDatabaseServer(options: DatabaseServerOptions): Promise<DatabaseServer> {
  if (options.databaseUrl !== null) return openGivenServer(options.databaseUrl, options.analystPassword);
  const { folder, port, log } = options;
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), port, log });
  const password = options.analystPassword ?? (await keyFile(join(folder, 'keys', 'analyst'), newPassword)).trim();
  let stopping = false;
  const lost = server.ended.then(async (): Promise<never> => {
    if (stopping) return new Promise<never>(() => undefined);
    throw new Error(`PostgreSQL ended although nobody stopped it: ${join(folder, 'postgres.log')} says why.`);
  });
  return {
    ownerUrl: server.url,
    analystUrl: analystUrl(server.url, password),
    analystPassword: password,
    description: `PostgreSQL 18 on port ${server.port}, its data in ${join(folder, 'postgres')}`,
    lost,
    stop: async (how) => {
      stopping = true;
      await server.stop(how);
    },
  };
}

const newPassword = async (): Promise<string> => `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`;

/** Takes the server of a URL once it lets us in. @throws StartupError */
export async function openGivenServer(url: string, password: string | null): Promise<DatabaseServer> {
  const { host, pathname } = new URL(url);
  await tryConnection(url, `${host}${pathname}`);
  return {
    ownerUrl: url,
    analystUrl: analystUrl(url, password ?? ''),
    analystPassword: password ?? undefined,
    description: `PostgreSQL at ${host}${pathname}`,
    lost: new Promise<never>(() => undefined),
    stop: async () => undefined,
  };
}

async function tryConnection(url: string, shown: string): Promise<void> {
  try {
    const client = await connectClient({ url, applicationName: 'vafa-start' });
    await client.end();
  } catch (error) {
    const cause: unknown = error instanceof AggregateError ? error.errors[0] : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(`The database ${shown} does not let us in (${reason}): check VAFA_DATABASE_URL.`);
  }
}

function analystUrl(ownerUrl: string, password: string): string {
  const url = new URL(ownerUrl);
  url.username = 'analyst';
  url.password = encodeURIComponent(password);
  return url.href;
}
