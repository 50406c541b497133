import { describe, expect, it } from '@jest/globals';
import { mergeMetrics } from './merge-metrics.js';
import { mergeOpenApi } from './merge-openapi.js';

type Document = Parameters<typeof mergeOpenApi>[0][number]['openapi'];

const document = (path: string, schemas: Record<string, { type: string }>): Document => ({
  openapi: '3.1.0',
  info: { title: path, version: '1' },
  paths: { [path]: { get: { responses: { 200: { $ref: `#/components/schemas/${Object.keys(schemas)[0]}` } } } } },
  components: { schemas },
});

describe('one OpenAPI document of several services', () => {
  it('has the paths of all, and schemas that are the same once', () => {
    const merged = mergeOpenApi(
      [
        { name: 'a', openapi: document('/a', { Problem: { type: 'object' } }) },
        { name: 'b', openapi: document('/b', { Problem: { type: 'object' } }) },
      ],
      '1.2.3',
    );
    expect(Object.keys(merged.paths).sort()).toEqual(['/a', '/b']);
    expect(merged.components?.schemas).toEqual({ Problem: { type: 'object' } });
    expect(merged.info.version).toBe('1.2.3');
  });

  it('keeps apart what two services call by one name', () => {
    const merged = mergeOpenApi(
      [
        { name: 'a', openapi: document('/a', { Status: { type: 'string' } }) },
        { name: 'b', openapi: document('/b', { Status: { type: 'integer' } }) },
      ],
      '1',
    );
    expect(merged.components?.schemas).toEqual({ Status: { type: 'string' }, 'b.Status': { type: 'integer' } });
    expect(merged.paths['/a']?.get?.responses['200']).toEqual({ $ref: '#/components/schemas/Status' });
    expect(merged.paths['/b']?.get?.responses['200']).toEqual({ $ref: '#/components/schemas/b.Status' });
  });
});

describe('one text of several metrics', () => {
  const text = (service: string, value: number): string =>
    [
      '# HELP vafa_requests_total Requests',
      '# TYPE vafa_requests_total counter',
      `vafa_requests_total{service="${service}"} ${value}`,
      '',
      `# HELP ${service}_only Its own`,
      `# TYPE ${service}_only gauge`,
      `${service}_only 1`,
      '',
    ].join('\n');

  it('describes a metric once and gives the samples of all', () => {
    const lines = mergeMetrics([text('a', 1), text('b', 2)]).split('\n');
    expect(lines.filter((line) => line === '# TYPE vafa_requests_total counter')).toHaveLength(1);
    const first = lines.indexOf('vafa_requests_total{service="a"} 1');
    expect(lines[first + 1]).toBe('vafa_requests_total{service="b"} 2');
    expect(lines).toEqual(expect.arrayContaining(['a_only 1', 'b_only 1']));
  });
});
