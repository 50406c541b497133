import { describe, expect, it } from '@jest/globals';
import type { Admin } from 'kafkajs';
import { KAFKA_DEFAULTS, type KafkaSettings } from './kafka-settings.js';
import { KafkaTopics } from './kafka-topics.js';

const TOPIC = { name: 'orders', partitions: 2, retentionMs: 3_600_000 };

/** The client's administrator on a cluster with one topic. */
const cluster = (brokers: number, copies: number): Admin => {
  const replicas = Array.from({ length: copies }, (_, node) => node);
  const partitions = [0, 1].map((partitionId) => ({ partitionId, leader: 0, replicas, isr: replicas }));
  const admin = {
    listTopics: async () => ['shop.orders'],
    fetchTopicMetadata: async () => ({ topics: [{ name: 'shop.orders', partitions }] }),
    describeConfigs: async () => ({ resources: [] }),
    describeCluster: async () => ({ brokers: Array.from({ length: brokers }, (_, nodeId) => ({ nodeId })) }),
  };
  return admin as unknown as Admin;
};

const warningsOf = async (admin: Admin, settings: Partial<KafkaSettings> = {}): Promise<string[]> => {
  const warnings: string[] = [];
  const all = { ...KAFKA_DEFAULTS, brokers: ['kafka:9092'], prefix: 'shop.', ...settings };
  const topics = new KafkaTopics(admin, all, (message) => warnings.push(message));
  for (let start = 0; start < 2; start++) await topics.ensure([TOPIC]);
  return warnings;
};

describe('the topics of a cluster', () => {
  it('are told of once where the brokers keep one copy and nobody asked for it', async () => {
    expect(await warningsOf(cluster(3, 1))).toEqual([
      expect.stringMatching(/^one copy only of shop\.orders, on 3 brokers.*VAFA_KAFKA_REPLICATION=3/),
    ]);
  });

  it.each([
    ['of which there are more copies', cluster(3, 2), {}],
    ['where one copy is what is asked for', cluster(3, 1), { replication: 1 }],
    ['where there is nowhere to put another', cluster(1, 1), {}],
  ])('are not warned of: %s', async (_what, admin, settings) => {
    expect(await warningsOf(admin, settings)).toEqual([]);
  });
});
