import pg from 'pg';
import type { EntityManager, EntityTarget, ObjectLiteral, QueryRunner, Repository } from 'typeorm';
import { DataSource } from 'typeorm';
import { connectClient, connectionConfig, GuardedClient, POOL_LIMITS, SERVICE_LIMITS } from './connection.js';
import type { ConnectionOptions } from './connection.js';
import { copyRows, copyStatement } from './copy.js';
import type { CopyCell, CopyColumns, UnitOfWork } from './unit-of-work.js';

export type DatabaseOptions = ConnectionOptions & {
  readonly schema: string;
  /** Connections at most; they are kept while idle, since opening one costs more than most statements. */
  readonly poolSize: number;
  /** TypeORM entity classes. */
  readonly entities?: readonly (new () => object)[];
  /** Told of failures that nobody awaits: a pooled connection that broke, an effect after a commit that threw. */
  readonly onError?: (error: unknown) => void;
};

/** Anything that runs one statement with parameters: the database itself, or a transaction. */
export interface Querier {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

/** A connection that is cut somewhere on the way answers nothing any more. */
const END_TIMEOUT_MS = 2_000;

/** As text: Node refuses an error that was made in another realm, such as a test runner's. */
const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? `${error.name}: ${error.message}` : String(error));

/** One service's access to PostgreSQL: a TypeORM data source whose pool is the only pool. */
export class Database implements Querier {
  readonly manager: EntityManager;

  private constructor(
    private readonly dataSource: DataSource,
    private readonly pool: pg.Pool,
    private readonly options: DatabaseOptions,
    private readonly onError: (error: unknown) => void,
  ) {
    this.manager = dataSource.manager;
  }

  /** Opens the pool and one connection. @throws when the server cannot be reached or refuses; nothing is left open then. */
  static async connect(options: DatabaseOptions): Promise<Database> {
    const onError = options.onError ?? warn;
    const { connectionString: _url, ...extra } = connectionConfig(options, POOL_LIMITS);
    const dataSource = new DataSource({
      type: 'postgres',
      url: options.url,
      schema: options.schema,
      driver: pg,
      entities: [...(options.entities ?? [])],
      poolSize: options.poolSize,
      poolErrorHandler: onError,
      synchronize: false,
      logging: false,
      installExtensions: false,
      // 0 keeps idle connections for good.
      extra: { ...extra, idleTimeoutMillis: 0, Client: GuardedClient },
    });
    await dataSource.initialize();
    return new Database(dataSource, masterPool(dataSource), options, onError);
  }

  /** Runs one statement on a connection of the pool, committed by itself. Answers with the rows. */
  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.pool.query(sql, [...parameters]);
    return result.rows as Row[];
  }

  /** The same with each row as an array in the order of the columns, which is cheaper for big pages. */
  async rows<Row extends readonly unknown[]>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.pool.query({ text: sql, values: [...parameters], rowMode: 'array' });
    return result.rows as unknown[] as Row[];
  }

  /**
   * Runs `work` in one transaction on one connection and commits, or rolls back where it throws. Inside, use only what `work` is given, and wait
   * for nothing else, unless `whileAlive`: after 4 s without a statement the server ends it, and after 3 s of waiting for a lock the statement fails.
   * @throws what `work` threw; or the commit's own error, after which the outcome is unknown where `isTransient` says so.
   */
  async transaction<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    const effects: (() => void)[] = [];
    let result: T;
    try {
      const client = (await runner.connect()) as pg.PoolClient;
      await runner.startTransaction();
      result = await work(new PostgresUnitOfWork(runner.manager, client, effects));
      await runner.commitTransaction();
    } catch (error) {
      await this.rollback(runner);
      throw error;
    } finally {
      await runner.release();
    }
    for (const effect of effects) this.run(effect);
    return result;
  }

  /** The TypeORM repository of an entity, outside any transaction. */
  repository<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>): Repository<Entity> {
    return this.dataSource.getRepository(entity);
  }

  /** A connection outside the pool with the same role and schema, for session locks. It waits for any lock. The caller ends it. */
  dedicated(): Promise<pg.Client> {
    return connectClient(this.options, SERVICE_LIMITS);
  }

  /** Answers when the server can be reached and used. @throws the driver's error otherwise. */
  async ping(): Promise<void> {
    await this.pool.query('select 1');
  }

  /** Waits for what is under way and closes every connection of the pool. Calling it again does nothing. */
  async close(): Promise<void> {
    if (!this.dataSource.isInitialized) return;
    const ended = connectionsEnded(this.pool);
    await this.dataSource.destroy();
    // The pool answers when it has asked its connections to end: a server stopped now would still cut them, and each would complain.
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, END_TIMEOUT_MS).unref())]);
  }

  private async rollback(runner: QueryRunner): Promise<void> {
    if (!runner.isTransactionActive) return;
    try {
      await runner.rollbackTransaction();
    } catch {
      // The connection broke, and with it the transaction: the pool drops a connection that cannot be queried.
    }
  }

  private run(effect: () => void): void {
    try {
      effect();
    } catch (error) {
      this.onError(error);
    }
  }
}

class PostgresUnitOfWork implements UnitOfWork {
  constructor(
    readonly manager: EntityManager,
    readonly client: pg.PoolClient,
    private readonly effects: (() => void)[],
  ) {}

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.client.query(sql, [...parameters]);
    return result.rows as Row[];
  }

  async copy(table: string, columns: CopyColumns, rows: readonly (readonly CopyCell[])[]): Promise<void> {
    if (rows.length > 0) await copyRows(this.client, copyStatement(table, columns), rows);
  }

  afterCommit(effect: () => void): void {
    this.effects.push(effect);
  }
}

/** Resolves when every connection that the pool has now is gone. */
const connectionsEnded = (pool: pg.Pool): Promise<void> =>
  new Promise((resolve) => {
    let open = pool.totalCount;
    if (open === 0) return resolve();
    pool.on('remove', () => {
      open--;
      if (open === 0) resolve();
    });
  });

/** TypeORM's own pool: raw statements go to it directly, without the work TypeORM does around each. */
const masterPool = (dataSource: DataSource): pg.Pool => {
  const driver: object = dataSource.driver;
  if (!('master' in driver) || !(driver.master instanceof pg.Pool))
    throw new Error('the data source has no PostgreSQL pool');
  return driver.master;
};
