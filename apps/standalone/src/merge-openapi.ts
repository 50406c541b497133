import type { RunningService } from '@vafa/service';

type Document = RunningService['openapi'];

/**
 * One document of all services for those who see one API. Names of schemas that two services give to different things
 * get the service's name before them; a path belongs to the first service that has it, as requests do.
 */
export function mergeOpenApi(services: readonly { name: string; openapi: Document }[], version: string): Document {
  const merged: Document = {
    openapi: '3.1.0',
    info: { title: 'Vafa', description: 'The customer club: members, purchases and points.', version },
    servers: [{ url: '/' }],
    paths: {},
    components: { schemas: {}, securitySchemes: {} },
  };
  for (const { name, openapi } of services) addService(merged, name, openapi);
  return merged;
}

function addService(merged: Document, name: string, document: Document): void {
  const schemas = (merged.components ??= {}).schemas ?? {};
  const renamed = Object.entries(document.components?.schemas ?? {})
    .filter(([key, schema]) => key in schemas && JSON.stringify(schemas[key]) !== JSON.stringify(schema))
    .map(([key]) => key);
  const own = withNames(document, name, renamed);
  merged.paths = { ...own.paths, ...merged.paths };
  merged.components = {
    ...merged.components,
    schemas: { ...own.components?.schemas, ...schemas },
    securitySchemes: { ...own.components?.securitySchemes, ...merged.components?.securitySchemes },
  };
  merged.tags = [...(merged.tags ?? []), ...(own.tags ?? [])];
}

function withNames(document: Document, service: string, names: readonly string[]): Document {
  let text = JSON.stringify(document);
  for (const name of names)
    text = text.replaceAll(`"#/components/schemas/${name}"`, `"#/components/schemas/${service}.${name}"`);
  const result = JSON.parse(text) as Document;
  const schemas = result.components?.schemas;
  if (schemas !== undefined)
    for (const name of names) {
      const schema = schemas[name];
      if (schema !== undefined) schemas[`${service}.${name}`] = schema;
      delete schemas[name];
    }
  return result;
}
