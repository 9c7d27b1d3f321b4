/** Every route there is. A new endpoint is one file beside these and one line here. */
import type { Config } from '../config/config.ts';
import { docsRoutes } from './docs/pages.ts';
import { openApiDocument } from './openapi.ts';
import { ADJUSTMENT_ROUTES } from './resources/adjustments.ts';
import { API_KEY_ROUTES } from './resources/api-keys.ts';
import { ATTENTION_ROUTES } from './resources/attention.ts';
import { BALANCE_ROUTES } from './resources/balances.ts';
import { CONFIG_ROUTES } from './resources/config.ts';
import { DISPUTE_ROUTES } from './resources/disputes.ts';
import { EVENT_ROUTES } from './resources/events.ts';
import { HEALTH_ROUTES } from './resources/health.ts';
import { MARKETPLACE_ROUTES } from './resources/marketplaces.ts';
import { MILESTONE_ROUTES } from './resources/milestones.ts';
import { ORDER_VERB_ROUTES } from './resources/order-verbs.ts';
import { ORDER_ROUTES } from './resources/orders.ts';
import { sandboxRoutes } from './resources/sandbox.ts';
import { TIMELINE_ROUTES } from './resources/timeline.ts';
import { TEST_CLOCK_ROUTES } from './resources/test-clocks.ts';
import { SIGNING_REQUEST_ROUTES } from './resources/signing-requests.ts';
import { USER_ROUTES } from './resources/users.ts';
import { WALLET_ROUTES } from './resources/wallets.ts';
import { WITHDRAWAL_ROUTES } from './resources/withdrawals.ts';
import type { Route } from './route.ts';

/** The sandbox's routes exist with a sandbox only: elsewhere they are 404 like any unknown path. */
export function routesOf({ sandboxControlUrl }: Pick<Config, 'sandboxControlUrl'>): Route[] {
  let document: unknown;
  const routes: Route[] = [
    ...HEALTH_ROUTES,
    ...CONFIG_ROUTES,
    ...API_KEY_ROUTES,
    ...MARKETPLACE_ROUTES,
    ...USER_ROUTES,
    ...WALLET_ROUTES,
    ...BALANCE_ROUTES,
    ...ORDER_ROUTES,
    ...MILESTONE_ROUTES,
    ...ORDER_VERB_ROUTES,
    ...TIMELINE_ROUTES,
    ...DISPUTE_ROUTES,
    ...ATTENTION_ROUTES,
    ...WITHDRAWAL_ROUTES,
    ...ADJUSTMENT_ROUTES,
    ...SIGNING_REQUEST_ROUTES,
    ...EVENT_ROUTES,
    ...(sandboxControlUrl === null ? [] : [...sandboxRoutes(sandboxControlUrl), ...TEST_CLOCK_ROUTES]),
    ...docsRoutes(() => (document ??= openApiDocument(routes))),
  ];
  return routes;
}
