import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { PERMISSIONS } from '../auth/permissions.js';
import { PROBLEM_TYPE } from './problems.js';
import type { RouteTable } from './route-table.js';

export type OpenApiInfo = { readonly title: string; readonly description: string; readonly version: string };

type Json = { [name: string]: unknown };

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** The OpenAPI 3.1 document of a service: what @nestjs/swagger finds, with security, problems and types as 3.1 wants them. */
export const openApiOf = (app: INestApplication, routes: RouteTable, info: OpenApiInfo): OpenAPIObject => {
  const base = new DocumentBuilder()
    .setTitle(info.title)
    .setDescription(info.description)
    .setVersion(info.version)
    .setOpenAPIVersion('3.1.0')
    .addBearerAuth()
    .build();
  const document = SwaggerModule.createDocument(app, base, { operationIdFactory: (_controller, method) => method });
  const tidy = withProblems(withSecurity(withNamedSchemas(withTypeArrays(document) as OpenAPIObject), routes));
  checkReferences(tidy);
  checkOperationIds(tidy);
  return tidy;
};

// @nestjs/swagger writes `nullable: true`, which 3.1 does not know.
const withTypeArrays = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withTypeArrays);
  if (value === null || typeof value !== 'object') return value;
  const { nullable, ...rest } = value as Json;
  const tidy = Object.fromEntries(Object.entries(rest).map(([name, item]) => [name, withTypeArrays(item)]));
  if (typeof nullable !== 'boolean') return nullable === undefined ? tidy : { ...tidy, nullable };
  if (!nullable) return tidy;
  if (typeof tidy['type'] === 'string') return { ...tidy, type: [tidy['type'], 'null'] };
  return { anyOf: [tidy, { type: 'null' }] };
};

/** Schemas that bear a title stand once, under that name: so generated clients have types with names, and the document stays short. */
const withNamedSchemas = (document: OpenAPIObject): OpenAPIObject => {
  const named = new Map<string, Json>();
  const hoist = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(hoist);
    if (value === null || typeof value !== 'object') return value;
    const schema = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hoist(item)]));
    if (typeof schema['title'] !== 'string' || !('type' in schema)) return schema;
    const name = schema['title'].replace(/[^\w.-]+/g, '');
    const earlier = named.get(name);
    if (earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(schema))
      throw new Error(`Two schemas are called ${name}: name one otherwise`);
    named.set(name, schema);
    return { $ref: `#/components/schemas/${name}` };
  };
  const paths = hoist(document.paths) as OpenAPIObject['paths'];
  const schemas = { ...document.components?.schemas, ...Object.fromEntries(named) };
  return { ...document, paths, components: { ...document.components, schemas } };
};

type Operation = Json & { responses: Json; operationId?: string };

const operations = (document: OpenAPIObject): { method: string; path: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method] as Operation | undefined;
      return operation ? [{ method, path, operation }] : [];
    }),
  );

const withSecurity = (document: OpenAPIObject, routes: RouteTable): OpenAPIObject => {
  const access = new Map(routes.all().map((route) => [`${route.method} ${openApiPath(route.path)}`, route.access]));
  for (const { method, path, operation } of operations(document)) {
    const needed = access.get(`${method.toUpperCase()} ${path}`);
    if (needed === 'public') operation['security'] = [];
    else if (needed !== undefined) {
      operation['security'] = [{ bearer: [] }];
      operation['x-permission'] = needed;
      operation['x-roles'] = [...PERMISSIONS[needed]];
    }
  }
  return document;
};

/** `/v1/members/:ref` as OpenAPI writes it: `/v1/members/{ref}`. */
const openApiPath = (path: string): string => path.replace(/:([A-Za-z_]\w*)/g, '{$1}');

const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'RFC 9457 problem details; a kind of problem may have members of its own',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'stable, to be compared' },
    title: { type: 'string', description: 'in the language of Accept-Language: en, fa or ar' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: { type: 'string' },
    traceId: { type: 'string', description: 'what to tell the operator; on 5xx only' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: { type: 'string', description: 'JSON Pointer (RFC 6901)' },
          detail: { type: 'string' },
          in: { type: 'string', enum: ['query', 'path', 'header'], description: 'absent: in the body' },
        },
      },
    },
  },
};

const withProblems = (document: OpenAPIObject): OpenAPIObject => {
  const answer = { content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } };
  const named = (description: string): Json => ({ description, ...answer });
  const components = (document.components ??= {});
  components.schemas = { ...components.schemas, Problem: PROBLEM_SCHEMA };
  for (const { operation, path, method } of operations(document)) {
    const isPublic = Array.isArray(operation['security']) && operation['security'].length === 0;
    const writes = method !== 'get';
    const usual = {
      '400': named('The request cannot be read, or a parameter is not valid'),
      ...(!isPublic && { '401': named('No token, or one that is not valid') }),
      ...(!isPublic && { '403': named('The role has not the permission, or the member is another') }),
      ...((writes || path.includes('{')) && { '404': named('What the path or the body names is not there') }),
      ...(writes && { '409': named('It conflicts with what is there') }),
      ...('requestBody' in operation && {
        '413': named('The body is too large'),
        '415': named('The content type is not accepted'),
        '422': named('Some fields are not valid; `errors` names each'),
      }),
      ...(!isPublic && { '429': named('Too many requests; see Retry-After') }),
      '503': named('Not available at the moment; see Retry-After'),
    };
    operation.responses = { ...usual, ...withContent(operation.responses, answer) };
  }
  return document;
};

/** What a route says of its own problems, which have the form of all. */
const withContent = (responses: Json, answer: Json): Json =>
  Object.fromEntries(
    Object.entries(responses).map(([status, response]) => [
      status,
      Number(status) >= 400 ? { ...answer, ...(response as Json) } : response,
    ]),
  );

const checkReferences = (document: OpenAPIObject): void => {
  const schemas = document.components?.schemas ?? {};
  const missing = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"/]+)/g)]
    .map(([, name]) => name ?? '')
    .filter((name) => !(name in schemas));
  if (missing.length > 0) throw new Error(`OpenAPI refers to schemas that are not there: ${missing.join(', ')}`);
};

const checkOperationIds = (document: OpenAPIObject): void => {
  const seen = new Set<string>();
  for (const { operation, path } of operations(document)) {
    const id = operation.operationId ?? '';
    if (seen.has(id)) throw new Error(`Two operations are called ${id}, one of them at ${path}: name one otherwise`);
    seen.add(id);
  }
};
