import { createRequire } from 'node:module';
import type * as Gossip from '@eventstore/db-client/generated/gossip_pb.js';
import type * as Features from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type * as Shared from '@eventstore/db-client/generated/shared_pb.js';
import type * as Status from '@eventstore/db-client/generated/status_pb.js';
import type * as Streams from '@eventstore/db-client/generated/streams_pb.js';
import type { GossipService as GossipDefinition } from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import type { ServerFeaturesService as FeaturesDefinition } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import type { StreamsService as StreamsDefinition } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type * as Any from 'google-protobuf/google/protobuf/any_pb.js';
import type * as Google from 'google-protobuf/google/protobuf/empty_pb.js';

// What protoc generated are CommonJS modules whose exports Node cannot see from an ES module.
const load = createRequire(import.meta.url);
const generated = <M>(name: string): M => load(`@eventstore/db-client/generated/${name}.js`) as M;

export const streams = generated<typeof Streams>('streams_pb');
export const shared = generated<typeof Shared>('shared_pb');
export const status = generated<typeof Status>('status_pb');
export const gossip = generated<typeof Gossip>('gossip_pb');
export const features = generated<typeof Features>('serverfeatures_pb');
export const google = load('google-protobuf/google/protobuf/empty_pb.js') as typeof Google;
export const any = load('google-protobuf/google/protobuf/any_pb.js') as typeof Any;
export const { StreamsService } = generated<{ StreamsService: typeof StreamsDefinition }>('streams_grpc_pb');
export const { GossipService } = generated<{ GossipService: typeof GossipDefinition }>('gossip_grpc_pb');
export const { ServerFeaturesService } = generated<{ ServerFeaturesService: typeof FeaturesDefinition }>(
  'serverfeatures_grpc_pb',
);

export type { Gossip, Features, Shared, Streams };
