/** The Koa application: request ids and problems around one router made from the routes. */
import Router from '@koa/router';
import Koa from 'koa';
import type { ApiDeps } from './deps.ts';
import { problems, requestId, unrouted } from './middleware/request.ts';
import { serve } from './pipeline.ts';
import { BASE_PATH, type Route } from './route.ts';

export function buildApp(routes: readonly Route[], deps: ApiDeps): Koa {
  const app = new Koa();
  const router = buildRouter(routes, deps);
  // Errors after the headers are gone, such as a caller that hung up: nothing to answer, one line.
  app.on('error', (error: unknown) => deps.log.debug({ error }, 'request.broken'));
  app.use(requestId);
  app.use(problems(deps));
  app.use(unrouted);
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

function buildRouter(routes: readonly Route[], deps: ApiDeps): Router {
  const router = new Router({ prefix: BASE_PATH, strict: true, sensitive: true });
  for (const route of routes) router[route.method](route.path, serve(route, deps));
  return router;
}
