import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { Access, Principal } from '../auth/permissions.js';

/** What our decorators say of a route, kept in Fastify's own route configuration. */
export type RouteSettings = {
  /** Who may call it; nobody where this is missing. */
  access?: Access;
  /** Content types of its body; only `application/json` where this is missing. */
  accepts?: readonly string[];
  /** Bytes of its body at most. */
  bodyBytesMax?: number;
};

declare module 'fastify' {
  interface FastifyContextConfig extends RouteSettings {}

  interface FastifyRequest {
    /** The verified caller; null on public routes. */
    principal: Principal | null;
    /** The body as it came, where one came. */
    rawBody: Buffer | null;
  }
}

/** A decorator that adds to a route's settings; several add up, whatever their order. */
export const routeConfig =
  (settings: RouteSettings): MethodDecorator =>
  (_target, _name, descriptor) => {
    const handler = descriptor.value as object;
    const earlier = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, handler) as RouteSettings | undefined;
    Reflect.defineMetadata(FASTIFY_ROUTE_CONFIG_METADATA, { ...earlier, ...settings }, handler);
  };
