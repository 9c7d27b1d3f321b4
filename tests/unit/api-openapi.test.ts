import { describe, expect, test } from '@jest/globals';
import { BASE_PATH } from '../../api/route.ts';
import { openApiDocument, openApiPath, operationIdOf } from '../../api/openapi.ts';
import { routesOf } from '../../api/routes.ts';
import { ADVICE } from '../../api/docs/reasons.ts';
import { REASONS } from '../../domain/reasons.ts';

const routes = routesOf({ sandboxControlUrl: 'http://127.0.0.1:1' });
const document = openApiDocument(routes);

describe('the OpenAPI document', () => {
  test('has every route of the router and nothing else, each once', () => {
    const documented = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
      Object.keys(item ?? {}).map((method) => `${method} ${path}`),
    );
    const routed = routes.map(({ method, path }) => `${method} ${openApiPath(path)}`);
    expect([...documented].sort()).toEqual([...routed].sort());
    expect(new Set(routed).size).toBe(routed.length);
  });

  test('names each operation once, its answers and a problem for each way it is refused', () => {
    const ids = routes.map(operationIdOf);
    expect(new Set(ids).size).toBe(ids.length);
    for (const route of routes) {
      const operation = document.paths?.[openApiPath(route.path)]?.[route.method];
      expect(Object.keys(operation?.responses ?? {})).toEqual(expect.arrayContaining(Object.keys(route.answers)));
      if (route.access.keys !== 'public') expect(operation?.responses).toHaveProperty('401');
    }
  });

  test('describes path parameters, query and body of the schemas that validate them', () => {
    const create = document.paths?.['/orders']?.post;
    const body = create?.requestBody as { content: Record<string, { schema: unknown }> } | undefined;
    const schema = body?.content['application/json']?.schema;
    expect(schema).toMatchObject({
      additionalProperties: false,
      required: ['buyer_id', 'seller_id', 'amount', 'title'],
    });
    const names = (document.paths?.['/orders']?.get?.parameters ?? []).map(
      (parameter) => 'name' in parameter && parameter.name,
    );
    expect(names).toEqual(expect.arrayContaining(['limit', 'cursor', 'status', 'metadata']));
    expect(document.paths?.['/orders/{id}']?.get?.parameters).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'id', in: 'path', required: true })]),
    );
  });

  test('the sandbox routes are there with a sandbox only', () => {
    expect(routesOf({ sandboxControlUrl: null }).some(({ path }) => path.startsWith('/sandbox'))).toBe(false);
  });

  test('every reason has a page that says what to do', () => {
    for (const reason of REASONS) expect(ADVICE[reason].length).toBeGreaterThan(20);
    expect(document.servers).toEqual([{ url: BASE_PATH }]);
  });
});
