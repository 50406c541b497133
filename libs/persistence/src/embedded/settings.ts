import { totalmem } from 'node:os';

const MIB = 1_048_576;
const SHARED_BUFFERS_MIB_MIN = 128;
const SHARED_BUFFERS_MIB_MAX = 1_024;

/**
 * The server's settings, given on its command line at every start, so that an upgrade changes them without touching the data.
 *
 * @param options.durable false leaves out fsync, for tests whose data may be lost with the machine
 * @param options.settings take the place of ours
 */
export function serverSettings(options: {
  port: number;
  durable: boolean;
  settings: Readonly<Record<string, string>>;
}): string[] {
  const memory = totalmem() / MIB;
  const shared = Math.round(Math.min(SHARED_BUFFERS_MIB_MAX, Math.max(SHARED_BUFFERS_MIB_MIN, memory / 16)));
  const durability = options.durable ? 'on' : 'off';
  const settings: Record<string, string> = {
    // TCP on the loopback only. A socket file would break on long paths (107 bytes), and nothing here needs one.
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(options.port),
    max_connections: '100',
    password_encryption: 'scram-sha-256',
    fsync: durability,
    synchronous_commit: durability,
    full_page_writes: durability,
    shared_buffers: `${shared}MB`,
    effective_cache_size: `${Math.round(Math.max(256, memory / 2))}MB`,
    work_mem: '16MB',
    maintenance_work_mem: '128MB',
    // Purchases come in bulk: rare, spread checkpoints write far fewer full pages than the default 1 GB between two.
    max_wal_size: '4GB',
    min_wal_size: '256MB',
    wal_buffers: '64MB',
    checkpoint_timeout: '15min',
    checkpoint_completion_target: '0.9',
    // Short statements on indexes: compiling them costs more than it saves, and disks of today seek for free.
    jit: 'off',
    random_page_cost: '1.1',
    // Fresh tables grow by thousands of rows a second, and plans made for empty ones must not live for a minute.
    autovacuum_naptime: '10s',
    // A client that died in the middle of a statement must not keep its locks.
    client_connection_check_interval: '2s',
    tcp_keepalives_idle: '30',
    tcp_keepalives_interval: '10',
    tcp_keepalives_count: '3',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
  };
  return Object.entries({ ...settings, ...options.settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
