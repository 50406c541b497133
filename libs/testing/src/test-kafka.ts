import kafkajs from 'kafkajs';
import { randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';
import { deferred } from './eventually.js';

/** The broker of the suites that need a real one, where there is one. */
export type TestKafka = {
  /** Plain, `host:port`. */
  readonly brokers: readonly string[];
  /** The listener with TLS and SASL; absent where the broker was given without. */
  readonly secured?: {
    readonly brokers: readonly string[];
    readonly ca: string;
    readonly username: string;
    readonly password: string;
  };
};

const LEAVE_GROUP = 13;
const LEAVE_GROUP_VERSION = 1;

/** What `VAFA_TEST_KAFKA_…` says; undefined where no broker is there. The setup of the suite sets them where it started one. */
export const testKafka = (): TestKafka | undefined => {
  const env = process.env;
  const brokers = listOf(env['VAFA_TEST_KAFKA_BROKERS']);
  if (brokers.length === 0) return undefined;
  const secured = listOf(env['VAFA_TEST_KAFKA_SASL_BROKERS']);
  if (secured.length === 0) return { brokers };
  const ca = env['VAFA_TEST_KAFKA_CA'] ?? '';
  const username = env['VAFA_TEST_KAFKA_USER'] ?? '';
  const password = env['VAFA_TEST_KAFKA_PASSWORD'] ?? '';
  return { brokers, secured: { brokers: secured, ca, username, password } };
};

const listOf = (text = ''): string[] => text.split(',').filter((one) => one !== '');

/** What to put before the names of topics and groups, so that suites can share a broker. */
export const kafkaPrefix = (): string => `test-${randomBytes(6).toString('hex')}.`;

/** Deletes the topics with a prefix. What cannot be deleted is left, which a line says: nobody else has the prefix. */
export const dropKafkaTopics = async (brokers: readonly string[], prefix: string): Promise<void> => {
  const drop = withAdmin(brokers, async (admin) => {
    const topics = (await admin.listTopics()).filter((name) => name.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  });
  await drop.catch((error: unknown) => process.stderr.write(`Topics ${prefix}* were left: ${String(error)}\n`));
};

/** Has the broker forget every member of a group, as if their processes had ended and their sessions run out. */
export const endKafkaGroup = async (brokers: readonly string[], group: string): Promise<void> => {
  await withAdmin(brokers, async (admin) => {
    const { groups } = await admin.describeGroups([group]);
    const members = groups.flatMap((one) => one.members.map(({ memberId }) => memberId));
    // Whichever of them coordinates the group takes it; the others refuse.
    for (const broker of brokers) for (const member of members) await leave(broker, group, member);
  });
};

type Admin = ReturnType<InstanceType<typeof kafkajs.Kafka>['admin']>;

/** Runs something with an administrator's client. */
export const withAdmin = async <T>(brokers: readonly string[], work: (admin: Admin) => Promise<T>): Promise<T> => {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], clientId: 'test', logLevel: kafkajs.logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
};

/** The one request that the client has no call for: leaving in the place of another member. */
const leave = async (broker: string, group: string, member: string): Promise<void> => {
  const [host = '', port = ''] = broker.split(':');
  const header = Buffer.alloc(8);
  header.writeInt16BE(LEAVE_GROUP, 0);
  header.writeInt16BE(LEAVE_GROUP_VERSION, 2);
  const body = Buffer.concat([header, text('test'), text(group), text(member)]);
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length, 0);
  const answered = deferred();
  const socket = createConnection({ host, port: Number(port) }, () => socket.write(Buffer.concat([size, body])));
  socket.once('data', () => answered.resolve());
  socket.once('error', (error) => answered.reject(error));
  await answered.promise;
  socket.destroy();
};

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeInt16BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
};
