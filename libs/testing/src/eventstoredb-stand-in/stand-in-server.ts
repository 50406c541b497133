import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Metadata, ServerUnaryCall, StatusObject, sendUnaryData } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { accessDenied, internal, notLeader, unauthenticated, unavailable } from './answers.js';
import { features, gossip, GossipService, ServerFeaturesService, shared, StreamsService } from './definitions.js';
import type { Features, Gossip, Shared } from './definitions.js';
import { StandInLog } from './stand-in-log.js';
import { StandInStreams, WRITE_TIMEOUT_MS } from './stand-in-streams.js';
import type { Gate } from './stand-in-streams.js';

export type StandInOptions = {
  /** By default any free one. */
  readonly port?: number;
  /** What it holds; by default nothing. */
  readonly log?: StandInLog;
  /** Certificate and key in PEM; without them it speaks plain. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Whom it lets in; by default everybody. Only over TLS, as the client sends none without. */
  readonly credentials?: { readonly username: string; password: string };
  /** The version it says it has. */
  readonly version?: string;
  /** How long a write may wait to be committed, in milliseconds; 2,000 by default, as in the real server. */
  readonly writeTimeoutMs?: number;
};

/** How it misbehaves, changed while it runs. */
export type StandInFaults = {
  /** Before every answer, in milliseconds. */
  latencyMs: number;
  refuse: 'nothing' | 'unavailable' | 'not-ready' | 'not-leader';
  /** Where the leader is, when this one is not. */
  leader: { host: string; port: number } | null;
  /** How many of the next appends find the connection cut, and when. */
  cutAppends: { when: 'before-stored' | 'after-stored'; count: number };
  /**
   * A repeat of what was stored less than so many milliseconds ago is not answered before the write times out; 0 answers every one. The real server
   * was seen to do so with a repeat that raced its own original, within 10 ms, though the event was stored once.
   */
  racingRepeatMs: number;
  /** How many of the next subscriptions are neither confirmed nor refused. */
  silentSubscriptions: number;
  /** How many of the next questions for what it can do are failed, or left without an answer. */
  features: { answer: 'internal' | 'none'; count: number };
};

/** Methods of 23.10 by which a client finds out what it may use. */
const METHODS = ['read', 'append', 'delete', 'tombstone', 'batchappend'];

/**
 * A stand-in for EventStoreDB, for tests: it speaks the Streams part of its gRPC protocol over a log in memory and answers as a real 23.10
 * server was seen to answer. Nothing is durable. In front of it stands a relay by which connections are cut and frozen.
 */
export class EventStoreDbStandIn {
  readonly log: StandInLog;
  readonly faults: StandInFaults = {
    latencyMs: 0,
    refuse: 'nothing',
    leader: null,
    cutAppends: { when: 'after-stored', count: 0 },
    racingRepeatMs: 0,
    silentSubscriptions: 0,
    features: { answer: 'internal', count: 0 },
  };
  private readonly grpc = new Server({ 'grpc.max_receive_message_length': 32 * 1024 * 1024 });
  /** Appends that were looked at, whatever came of them. */
  appends = 0;
  /** Repeats that were left without an answer for racing their original. */
  repeatsUnanswered = 0;
  private readonly links = new Set<Link>();
  private readonly stalled = new Map<string, Promise<void>>();
  private lastTurn: Promise<void> = Promise.resolve();
  private relay: TcpServer | undefined;
  private isFrozen = false;
  private innerPort = 0;
  private ownPort = 0;

  private constructor(private readonly options: StandInOptions) {
    this.log = options.log ?? new StandInLog();
    const streams = new StandInStreams(this.log, this.gate(), options.writeTimeoutMs ?? WRITE_TIMEOUT_MS);
    this.grpc.addService(StreamsService, streams.handlers);
    this.grpc.addService(ServerFeaturesService, {
      getSupportedMethods: supportedMethods(options.version ?? '23.10.0.0', this.faults),
    });
    this.grpc.addService(GossipService, { read: clusterInfo(() => this.port) });
  }

  /** Starts one on 127.0.0.1. */
  static async start(options: StandInOptions = {}): Promise<EventStoreDbStandIn> {
    const standIn = new EventStoreDbStandIn(options);
    const { tls } = options;
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [
            { cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) },
          ]);
    standIn.innerPort = await new Promise<number>((resolve, reject) =>
      standIn.grpc.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
    );
    await standIn.up(options.port ?? 0);
    return standIn;
  }

  get port(): number {
    return this.ownPort;
  }

  /** The connection string of a client. */
  get url(): string {
    const { tls, credentials } = this.options;
    const login = credentials === undefined ? '' : `${credentials.username}:${credentials.password}@`;
    return `esdb://${login}127.0.0.1:${this.port}?tls=${tls !== undefined}`;
  }

  /** Comes (back) up on its port. */
  async up(port: number = this.port): Promise<void> {
    const relay = createServer((socket) => this.accept(socket));
    await new Promise<void>((resolve, reject) => {
      relay.once('error', reject);
      relay.listen(port, '127.0.0.1', resolve);
    });
    this.relay = relay;
    this.ownPort = (relay.address() as AddressInfo).port;
  }

  /** Goes down: connections are refused until it is `up` again. What is stored stays. */
  async down(): Promise<void> {
    const relay = this.relay;
    this.relay = undefined;
    if (relay === undefined) return;
    const closed = new Promise<void>((resolve) => relay.close(() => resolve()));
    this.cut();
    await closed;
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const { outer, inner } of this.links) {
      outer.destroy();
      inner.destroy();
    }
  }

  /** Freezes it: what is sent waits on the way until it is thawed. */
  freeze(): void {
    this.isFrozen = true;
    for (const { outer, inner } of this.links) {
      outer.unpipe(inner);
      inner.unpipe(outer);
    }
  }

  thaw(): void {
    this.isFrozen = false;
    for (const { outer, inner } of this.links) {
      outer.pipe(inner);
      inner.pipe(outer);
    }
  }

  /** Holds the commits of a stream, and of all that come after it, until the answer's function is called: there is one writer. */
  stall(streamId: string): () => void {
    let release = (): void => undefined;
    this.stalled.set(streamId, new Promise((resolve) => (release = resolve)));
    return () => {
      this.stalled.delete(streamId);
      release();
    };
  }

  async stop(): Promise<void> {
    await this.down();
    this.grpc.forceShutdown();
  }

  private gate(): Gate {
    return {
      refusal: (metadata, writes) => this.refusal(metadata, writes),
      turn: (streamId) => this.turn(streamId),
      stored: () => {
        this.appends++;
        return !this.takeCut('after-stored');
      },
      isRacing: (storedForMs) => {
        const isRacing = storedForMs < this.faults.racingRepeatMs;
        if (isRacing) this.repeatsUnanswered++;
        return isRacing;
      },
      isSilent: () => this.faults.silentSubscriptions > 0 && this.faults.silentSubscriptions-- > 0,
      delay: async () => (this.faults.latencyMs > 0 ? pause(this.faults.latencyMs) : undefined),
    };
  }

  private refusal(metadata: Metadata, writes: boolean): StatusObject | 'not-ready' | undefined {
    const { refuse, leader } = this.faults;
    if (refuse === 'unavailable') return unavailable();
    if (refuse === 'not-ready') return 'not-ready';
    const needsLeader = metadata.get('requires-leader')[0] === 'true';
    if (refuse === 'not-leader' && (needsLeader || (writes && leader === null))) return notLeader(leader);
    const { credentials } = this.options;
    if (credentials === undefined) return undefined;
    const given = metadata.get('authorization')[0]?.toString();
    if (given === undefined) return accessDenied();
    const wanted = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    return given === `Basic ${wanted}` ? undefined : unauthenticated();
  }

  private async turn(streamId: string): Promise<boolean> {
    if (this.takeCut('before-stored')) return false;
    const before = this.lastTurn;
    const stalled = this.stalled.get(streamId);
    this.lastTurn = before.then(() => stalled);
    await this.lastTurn;
    return true;
  }

  private takeCut(when: StandInFaults['cutAppends']['when']): boolean {
    const { cutAppends } = this.faults;
    if (cutAppends.when !== when || cutAppends.count === 0) return false;
    cutAppends.count--;
    this.cut();
    return true;
  }

  private accept(outer: Socket): void {
    const link: Link = { outer, inner: connect(this.innerPort, '127.0.0.1') };
    const { inner } = link;
    this.links.add(link);
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      one.setNoDelay(true);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.links.delete(link);
        other.destroy();
      });
      if (!this.isFrozen) one.pipe(other);
    }
  }
}

/** A client's connection, and the one behind the relay that goes with it. */
type Link = { readonly outer: Socket; readonly inner: Socket };

const supportedMethods =
  (version: string, faults: StandInFaults) =>
  (
    _call: ServerUnaryCall<Shared.Empty, Features.SupportedMethods>,
    answer: sendUnaryData<Features.SupportedMethods>,
  ): void => {
    const broken = faults.features;
    if (broken.count > 0) {
      broken.count--;
      if (broken.answer === 'internal') answer(internal());
      return;
    }
    const methods = METHODS.map((name) =>
      new features.SupportedMethod().setMethodName(name).setServiceName('event_store.client.streams.streams'),
    );
    answer(null, new features.SupportedMethods().setMethodsList(methods).setEventStoreServerVersion(version));
  };

/** A cluster of one, its leader. */
const clusterInfo =
  (port: () => number) =>
  (_call: ServerUnaryCall<Shared.Empty, Gossip.ClusterInfo>, answer: sendUnaryData<Gossip.ClusterInfo>): void => {
    const member = new gossip.MemberInfo()
      .setInstanceId(new shared.UUID().setString(crypto.randomUUID()))
      .setTimeStamp('0')
      .setState(gossip.MemberInfo.VNodeState.LEADER)
      .setIsAlive(true)
      .setHttpEndPoint(new gossip.EndPoint().setAddress('127.0.0.1').setPort(port()));
    answer(null, new gossip.ClusterInfo().setMembersList([member]));
  };
